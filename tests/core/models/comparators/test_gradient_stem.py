"""The cross difference takes a share of the centre away; the stem gives maps of the published size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gr2st_core.models.comparators.gradient_stem import CrossDifferenceConv, GradientStem


@pytest.fixture
def maps():
    return torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))


def test_a_cross_difference_is_five_pixels_less_a_share_of_the_centre(maps) -> None:
    torch.manual_seed(0)
    conv = CrossDifferenceConv(3, 2, 0.7)
    weight, padded = conv.weight.detach().numpy(), np.pad(maps.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = conv(maps).detach()
    assert out.shape == (2, 2, 5, 4)
    for row in range(5):
        for column in range(4):
            y, x = 2 * row + 1, 2 * column + 1
            cross = np.stack([padded[:, :, y + dy, x + dx] for dy, dx in ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))], 2)
            expected = np.einsum("nck,ock->no", cross - 0.7 * cross[:, :, 2:3], weight)
            np.testing.assert_allclose(out[:, :, row, column], expected, atol=1e-5)


def test_a_full_cross_difference_is_blind_to_brightness(maps) -> None:
    conv = CrossDifferenceConv(3, 2, 1.0)
    inside = (slice(None), slice(None), slice(1, 4), slice(1, 3))
    torch.testing.assert_close(conv(maps)[inside], conv(maps + 5)[inside], atol=1e-4, rtol=0)
    assert not torch.allclose(CrossDifferenceConv(3, 2, 0.7)(maps), CrossDifferenceConv(3, 2, 0.7)(maps + 5))


def test_patches_of_112_px_become_maps_of_58_px() -> None:
    with torch.device("meta"):
        assert GradientStem(0.7)(torch.rand(2, 3, 112, 112)).shape == (2, 3, 58, 58)
