"""Capsules: groups of units whose length says whether something is there and whose direction says how it looks.

Belongs here: primary capsules of an image, and routing from capsules to capsules. Does not belong here: the dynamic
convolution in front of them, networks.

Source of all: Mazzia, Salvetti, Chiaberge, "Efficient-CapsNet: capsule network with self-attention routing",
Scientific Reports 2021.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def squash(capsules: Tensor) -> Tensor:
    """Bring the length of each capsule, a row of the last axis, from ``l`` to ``1 - exp(-l)``."""
    length = torch.linalg.vector_norm(capsules, dim=-1, keepdim=True).clamp(min=1e-7)
    return capsules * (-torch.expm1(-length) / length)


class PrimaryCapsules(nn.Module):
    """Four convolutions, then one filter per channel over all that is left of the map; none pads.

    Parameters
    ----------
    c_in
        Channels of the maps.
    channels
        Of the first three convolutions; the fourth has ``n_capsules * d_capsule``.
    map_px
        Side of the maps, at least 11.
    """

    def __init__(
        self, c_in: int, channels: tuple[int, int, int], *, map_px: int, n_capsules: int, d_capsule: int
    ) -> None:
        super().__init__()
        self.shape = (n_capsules, d_capsule)
        c_out = n_capsules * d_capsule
        first, second, third = channels
        self.convolutions = nn.Sequential(
            *_convolution(c_in, first, 5),
            *_convolution(first, second, 3),
            *_convolution(second, third, 3),
            *_convolution(third, c_out, 3, stride=2),
        )
        self.depthwise = nn.Conv2d(c_out, c_out, (map_px - 11) // 2 + 1, groups=c_out)

    def forward(self, maps: Tensor) -> Tensor:
        """From ``(n, c_in, map_px, map_px)`` to squashed ``(n, n_capsules, d_capsule)``."""
        filtered = self.depthwise(self.convolutions(maps))
        return squash(filtered.flatten(1).unflatten(1, self.shape))


def _convolution(c_in: int, c_out: int, kernel_px: int, stride: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(c_in, c_out, kernel_px, stride), nn.BatchNorm2d(c_out), nn.ReLU()


class CapsuleRouting(nn.Module):
    """Self-attention routing: each capsule predicts every new one, and predictions that agree weigh more.

    Parameters
    ----------
    n_in, d_in, n_out, d_out
        Number and width of the capsules that are read and made.
    """

    def __init__(self, n_in: int, d_in: int, n_out: int, d_out: int) -> None:
        super().__init__()
        self.transforms = nn.Parameter(torch.empty(n_out, n_in, d_in, d_out))
        self.prior = nn.Parameter(torch.zeros(n_out, n_in))
        # evenly weighted predictions from capsules of length 1 then add up to about that length again
        nn.init.normal_(self.transforms, std=n_out / math.sqrt(n_in * d_out))

    def forward(self, capsules: Tensor) -> Tensor:
        """From ``(n, n_in, d_in)`` to squashed ``(n, n_out, d_out)``.

        Notes
        -----
        A prediction's agreement is the sum of its scalar products with all predictions of the same new capsule, itself
        included, over the root of ``d_in``; a softmax over new capsules makes weights of them, to which a learned prior
        is added.
        """
        predicted = torch.einsum("nid,oide->noie", capsules, self.transforms)
        agreement = (predicted * predicted.sum(2, keepdim=True)).sum(3) / math.sqrt(capsules.shape[2])
        weights = agreement.softmax(dim=1) + self.prior
        return squash((weights[:, :, None] @ predicted).squeeze(2))
