"""Small copies of images that are too large to be held.

Belongs here: the size of a thumbnail, shrinking block by block. Does not belong here: which level of a pyramid is
read (``tiled``).

The result equals Pillow's thumbnail of the whole image: pixels are averaged in whole blocks to about ``GAP`` times
the size, then resized (bicubic, antialiased).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from gr2st_core.images.pixels import Pixels

GAP = 2.0
"""Pixels per thumbnail pixel that are left to the last step; Pillow's own value."""

_BLOCK_PX = 4096

Size = tuple[int, int]
"""Width and height."""


def thumbnail_size(size: Size, max_px: int) -> Size:
    """Largest size of the same shape with both sides at most ``max_px``, never above ``size``; as Pillow rounds it."""
    width, height = size
    if width <= max_px and height <= max_px:
        return size
    aspect = width / height
    if aspect <= 1:
        return _rounded(max_px * aspect, lambda n: abs(aspect - n / max_px)), max_px
    return max_px, _rounded(max_px / aspect, lambda n: abs(aspect - max_px / n) if n else 0.0)


def _rounded(value: float, strays: Callable[[int], float]) -> int:
    return max(min(math.floor(value), math.ceil(value), key=strays), 1)


def shrink(read: Callable[[int, int, int, int], Pixels], full: Size, size: Size, max_px: int) -> Pixels:
    """Shrink an image that is read by region, uint8 ``(height, width, 3)``.

    Parameters
    ----------
    read
        From left, top, width and height, all within the image, to pixels.
    full, size
        Of the image, and of the copy.
    max_px
        Pixels that may be held between the two steps; above it the first step shrinks further than ``GAP`` says.
    """
    fx, fy = (max(int(large / small / GAP), 1) for large, small in zip(full, size, strict=True))
    while math.ceil(full[0] / fx) * math.ceil(full[1] / fy) > max_px:
        fx, fy = fx + 1, fy + 1
    reduced = np.empty((math.ceil(full[1] / fy), math.ceil(full[0] / fx), 3), np.uint8)
    across, down = (max(_BLOCK_PX // factor, 1) * factor for factor in (fx, fy))
    for top in range(0, full[1], down):
        for left in range(0, full[0], across):
            block = read(left, top, min(across, full[0] - left), min(down, full[1] - top))
            small = np.asarray(Image.fromarray(block).reduce((fx, fy)))
            reduced[top // fy : top // fy + len(small), left // fx : left // fx + small.shape[1]] = small
    box = (0.0, 0.0, full[0] / fx, full[1] / fy)
    return np.asarray(Image.fromarray(reduced).resize(size, Image.Resampling.BICUBIC, box))
