"""Channel and spatial attention, against the formula written out."""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import correlate2d

from gr2st_core.models.comparators.channel_spatial import ChannelSpatialAttention


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_maps_are_weighed_by_channel_and_then_by_place() -> None:
    torch.manual_seed(0)
    block, maps = ChannelSpatialAttention(32), torch.randn(2, 32, 4, 4)
    first, second = (block.by_channel[layer].weight.detach().numpy() for layer in (0, 2))
    kernel = block.by_place.weight.detach().numpy()[0]
    assert (first.shape, kernel.shape) == ((2, 32), (2, 7, 7))
    for own, found in zip(maps.numpy(), block(maps).detach().numpy(), strict=True):
        summaries = own.mean(axis=(1, 2)), own.max(axis=(1, 2))
        channels = sigmoid(sum(second @ np.maximum(first @ summary, 0) for summary in summaries))
        weighed = own * channels[:, None, None]
        pooled = weighed.mean(axis=0), weighed.max(axis=0)
        places = sigmoid(sum(correlate2d(np.pad(p, 3), k, "valid") for p, k in zip(pooled, kernel, strict=True)))
        np.testing.assert_allclose(found, weighed * places, atol=1e-5)
