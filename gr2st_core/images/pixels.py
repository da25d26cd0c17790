"""Pixels of a slide, and what every slide can do.

Belongs here: the types, and the two operations that all slides and patches share, cropping and resizing. Does not
belong here: files (``slides``, ``tiled``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
"""RGB image or images, the last axis is the colour in the order red, green, blue."""


class SlideImage(Protocol):
    """An H&E image of one section, decoded whole or read by region.

    Coordinates are those of the stored pixel grid at full resolution: x right, y down.
    """

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def section(self) -> str | None:
        """For error messages."""
        ...

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the file or files."""
        ...

    @property
    def um_per_px(self) -> float | None:
        """Resolution that the file declares; None if it declares none that can be."""
        ...

    def region(self, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle of the image, uint8 ``(height, width, 3)``; beyond the border the nearest edge pixel is repeated.

        Raises
        ------
        ImageError
            Truncated or damaged, or the region is too large.
        """
        ...

    def thumbnail(self, max_px: int) -> Pixels:
        """Antialiased copy whose longer side is ``max_px`` at most, uint8 ``(height, width, 3)``.

        Raises
        ------
        ImageError
            Truncated or damaged, or too large to be looked at as a whole.
        """
        ...


def clipped(start: int, length: int, size: int) -> NDArray[np.int64]:
    """Indices ``start`` to ``start + length`` of an axis of ``size``, those beyond an end replaced by that end."""
    return np.clip(np.arange(start, start + length, dtype=np.int64), 0, size - 1)


def crop(pixels: Pixels, left: int, top: int, width: int, height: int) -> Pixels:
    """Rectangle of an image, uint8 ``(height, width, 3)``; beyond the border the nearest edge pixel is repeated."""
    rows, columns = pixels.shape[:2]
    if left >= 0 and top >= 0 and left + width <= columns and top + height <= rows:
        return pixels[top : top + height, left : left + width]
    return pixels[np.ix_(clipped(top, height, rows), clipped(left, width, columns))]


def resized(pixels: Pixels, side: int) -> Pixels:
    """Square image at another size: bicubic, antialiased."""
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
