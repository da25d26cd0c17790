"""Attention within a map: which channels matter, then which places.

Belongs here: the block known as CBAM. Does not belong here: attention between spots (``attention``).

Source: Woo, Park, Lee, Kweon, "CBAM: convolutional block attention module", ECCV 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

REDUCTION = 16
"""Channels for each hidden unit of the channel weights."""
SPATIAL_PX = 7
"""Side of the convolution behind the weights of places."""


class ChannelSpatialAttention(nn.Module):
    """Weighs the channels of a map by their means and maxima, then its places by theirs."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        hidden = max(n_channels // REDUCTION, 1)
        self.by_channel = nn.Sequential(
            nn.Linear(n_channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, n_channels, bias=False)
        )
        self.by_place = nn.Conv2d(2, 1, SPATIAL_PX, padding=SPATIAL_PX // 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(n, n_channels, height, width)`` to the same."""
        channels = self.by_channel(maps.mean(dim=(2, 3))) + self.by_channel(maps.amax(dim=(2, 3)))
        maps = maps * channels.sigmoid()[:, :, None, None]
        places = torch.stack([maps.mean(dim=1), maps.amax(dim=1)], dim=1)
        weighed: Tensor = maps * self.by_place(places).sigmoid()
        return weighed
