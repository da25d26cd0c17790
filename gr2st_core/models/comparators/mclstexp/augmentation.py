"""Patches as training shows them: other colours, mirrored, turned.

Belongs here: the changes themselves, each spot's drawn on its own. Does not belong here: when they are made.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

LUMINANCE = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in grey."""


def augmented(patches: Tensor, jitter: float, rotation: float) -> Tensor:
    """Change each patch at random, drawing from torch's global generator.

    Parameters
    ----------
    patches
        RGB in 0..1, float32 ``(n, 3, px, px)``.
    jitter
        Brightness, contrast and saturation are multiplied by up to 1 +- this, in an order that a batch shares.
    rotation
        Most that a patch is turned about its centre, degrees in either direction; half of the patches are mirrored.

    Notes
    -----
    All draws are made on the CPU, so that they are the same on any device.
    """
    n = len(patches)
    factors = (1 + jitter * (2 * torch.rand(3, n) - 1)).to(patches.device)
    for change in torch.randperm(3).tolist():
        patches = (brightened, contrasted, saturated)[change](patches, factors[change])
    mirrored = (torch.rand(n) < 0.5).to(patches.device)
    degrees = (rotation * (2 * torch.rand(n) - 1)).to(patches.device)
    return turned(torch.where(mirrored[:, None, None, None], patches.flip(-1), patches), degrees)


def brightened(patches: Tensor, factors: Tensor) -> Tensor:
    """Multiply by factors ``(n,)``."""
    return _mixed(patches, torch.zeros_like(patches[:, :1]), factors)


def contrasted(patches: Tensor, factors: Tensor) -> Tensor:
    """Multiply the difference from a patch's mean grey by factors ``(n,)``."""
    return _mixed(patches, _grey(patches).mean(dim=(2, 3), keepdim=True), factors)


def saturated(patches: Tensor, factors: Tensor) -> Tensor:
    """Multiply the difference from a pixel's grey by factors ``(n,)``."""
    return _mixed(patches, _grey(patches), factors)


def turned(patches: Tensor, degrees: Tensor) -> Tensor:
    """Turn each patch counter-clockwise about its centre by degrees ``(n,)``; corners that were outside are black."""
    sine, cosine = degrees.deg2rad().sin(), degrees.deg2rad().cos()
    none = torch.zeros_like(sine)
    rows = torch.stack([cosine, -sine, none], dim=1), torch.stack([sine, cosine, none], dim=1)
    grid = affine_grid(torch.stack(rows, dim=1), list(patches.shape), align_corners=False)
    return grid_sample(patches, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _grey(patches: Tensor) -> Tensor:
    shares = patches.new_tensor(LUMINANCE)[:, None, None]
    return (patches * shares).sum(dim=1, keepdim=True)


def _mixed(patches: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    share = factors[:, None, None, None]
    return (share * patches + (1 - share) * other).clamp(0, 1)
