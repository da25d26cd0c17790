"""A first convolution that sees edges beside brightness.

Belongs here: the cross-shaped central difference and the stem made of it. Does not belong here: the encoder behind it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

CROSS = [1, 3, 4, 5, 7]
"""Cells of a 3x3 kernel, by row: above, left, centre, right, below."""
_CENTRE = 4


class CrossDifferenceConv(nn.Module):
    """A stride-2 convolution over a cross of five pixels, of which a share of the centre pixel is taken away.

    At ``theta`` 1 it sees differences to the centre alone and no brightness; at 0 it is a plain convolution.

    Parameters
    ----------
    theta
        That share.
    """

    def __init__(self, n_in: int, n_out: int, theta: float) -> None:
        super().__init__()
        bound = 1 / math.sqrt(n_in * len(CROSS))
        self.weight = nn.Parameter(torch.empty(n_out, n_in, len(CROSS)).uniform_(-bound, bound))
        self.theta = theta

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(n, n_in, height, width)`` to ``(n, n_out, height / 2, width / 2)``, rounded up."""
        kernel = self.weight.new_zeros(*self.weight.shape[:2], 9)
        kernel[..., CROSS] = self.weight
        kernel[..., _CENTRE] -= self.theta * self.weight.sum(dim=2)
        return conv2d(maps, kernel.unflatten(2, (3, 3)), stride=2, padding=1)


class GradientStem(nn.Module):
    """A plain convolution and a cross difference side by side, mixed into three channels again.

    The mixing pads by one pixel: patches of 112 px become maps of 58 px, as published.
    """

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.plain = nn.Conv2d(3, 3, 3, stride=2, padding=1)
        self.difference = CrossDifferenceConv(3, 3, theta)
        self.mix = nn.Conv2d(6, 3, 1, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """From float ``(n, 3, height, width)`` to ``(n, 3, height / 2 + 2, width / 2 + 2)``, rounded up."""
        mixed: Tensor = self.mix(torch.cat([self.plain(pixels), self.difference(pixels)], dim=1))
        return mixed
