"""Slides that are read by region and never whole.

Belongs here: their regions, patches and thumbnails, and what each may cost. Does not belong here: which files are
read so (``tiled_files``), file formats (``tiff_tiles``, ``openslide_tiles``), images decoded whole (``slides``).

A patch is read from the coarsest level that still has ``OVERSAMPLING`` times the pixels that the encoder sees, then
resized as from full resolution; at full resolution the result equals that of the same image decoded whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from gr2st_core.errors import ImageError
from gr2st_core.images.damage import CONVERT, damage_named
from gr2st_core.images.pixels import Pixels, clipped, resized
from gr2st_core.images.thumbnails import GAP, shrink, thumbnail_size

MAX_REGION_PX = 2**26
"""Pixels read at once: 200 MB, and as much again while they are converted."""
MAX_THUMBNAIL_PX = 2**32
"""Pixels read for one thumbnail, about a minute: a larger slide needs a pyramid."""
OVERSAMPLING = 2.0
"""Pixels of a level per pixel that the encoder sees, at least."""


class Tiles(Protocol):
    """A pyramid: what a file format gives to read.

    Attributes
    ----------
    faults
        What ``read`` raises where the file is damaged.
    """

    faults: tuple[type[Exception], ...]

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each level, the finest first."""
        ...

    def read(self, level: int, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle within a level, uint8 ``(height, width, 3)``."""
        ...


class TiledSlide:
    """A slide read by region; nothing but the parts asked for is decoded.

    Parameters
    ----------
    path, section
        The file, and its section for error messages.
    tiles
        Its pyramid.
    um_per_px
        Resolution that the file declares, or None.
    companions
        Further files that hold its pixels, in a fixed order.
    """

    def __init__(
        self, path: Path, section: str | None, tiles: Tiles, um_per_px: float | None, companions: Sequence[Path] = ()
    ) -> None:
        self.path = path
        self.section = section
        self.um_per_px = um_per_px
        self._tiles = tiles
        self._files = (path, *companions)
        self._state = self._now()

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._tiles.sizes[0]

    @cached_property
    def sha256(self) -> str:
        """Checksum of the file; of one with companions, that of all their checksums."""
        found = []
        for path in self._files:
            with path.open("rb") as stream:
                found.append(hashlib.file_digest(stream, "sha256").hexdigest())
        self._require_unchanged()
        return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()

    def region(self, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle of the image, uint8 ``(height, width, 3)``; beyond the border the nearest edge pixel is repeated.

        Raises
        ------
        ImageError
            A tile is damaged, the file changed since it was opened, or the region is above ``MAX_REGION_PX``.
        """
        return self._read(0, left, top, width, height)

    def patch(self, left: int, top: int, side: int, out_px: int) -> Pixels:
        """Square of the image resized to ``out_px``, uint8 ``(out_px, out_px, 3)``.

        Raises
        ------
        ImageError
            As ``region``.
        """
        level, scale = self._level_for(side / out_px / OVERSAMPLING)
        if level == 0:
            return resized(self.region(left, top, side, side), out_px)
        # Corners lie between the pixels of the level: the cover is read, and resized from where the square is.
        x, y, length = left / scale, top / scale, side / scale
        x0, y0 = math.floor(x), math.floor(y)
        cover = self._read(level, x0, y0, math.ceil(x + length) - x0, math.ceil(y + length) - y0)
        return resized(cover, out_px, (x - x0, y - y0, x - x0 + length, y - y0 + length))

    def thumbnail(self, max_px: int) -> Pixels:
        """Antialiased copy whose longer side is ``max_px`` at most, uint8 ``(height, width, 3)``.

        Made from the coarsest level with twice its pixels a side; from full resolution it equals that of the same
        image decoded whole.

        Raises
        ------
        ImageError
            A tile is damaged, the file changed, or the level to read is above ``MAX_THUMBNAIL_PX``.
        """
        size = thumbnail_size(self.size_px, max_px)
        level, _ = self._level_for(min(full / small for full, small in zip(self.size_px, size, strict=True)) / GAP)
        full = self._tiles.sizes[level]
        if math.prod(full) > MAX_THUMBNAIL_PX or math.prod(size) > MAX_REGION_PX:
            raise ImageError(
                "the slide is too large for a thumbnail",
                file=self.path,
                section=self.section,
                found=f"{full[0]}x{full[1]} px to be read for {size[0]}x{size[1]}",
                expected=f"at most {MAX_THUMBNAIL_PX} px for {MAX_REGION_PX}",
                hint=f"it lacks a pyramid; {CONVERT}",
            )
        return shrink(partial(self._read, level), full, size, MAX_REGION_PX)

    def _level_for(self, most: float) -> tuple[int, float]:
        """Coarsest level that is shrunk at most so many times, and how many times it is."""
        found = [(self._downsample(level), level) for level in range(len(self._tiles.sizes))]
        scale, level = max(pair for pair in found if pair[1] == 0 or pair[0] <= most)
        return level, scale

    def _downsample(self, level: int) -> float:
        """Pixels of full resolution per pixel of a level; a whole number where the rounding of sizes allows it."""
        pairs = list(zip(self.size_px, self._tiles.sizes[level], strict=True))
        ratio = sum(full / small for full, small in pairs) / 2
        whole = round(ratio)
        return float(whole) if all(abs(small - full / whole) < 1 for full, small in pairs) else ratio

    def _read(self, level: int, left: int, top: int, width: int, height: int) -> Pixels:
        if width * height > MAX_REGION_PX:
            raise ImageError(
                "a region is too large",
                file=self.path,
                section=self.section,
                found=f"{width}x{height} px",
                expected=f"at most {MAX_REGION_PX} px",
            )
        self._require_unchanged()
        size = self._tiles.sizes[level]
        columns, rows = clipped(left, width, size[0]), clipped(top, height, size[1])
        x0, y0, x1, y1 = (int(value) for value in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
        with damage_named(self._tiles.faults, self.path, self.section):
            pixels = self._tiles.read(level, x0, y0, x1 - x0, y1 - y0)
        if (x1 - x0, y1 - y0) == (width, height):
            return pixels
        return pixels[np.ix_(rows - y0, columns - x0)]

    def _require_unchanged(self) -> None:
        if self._now() != self._state:
            raise ImageError(
                "the image changed while it was read", file=self.path, section=self.section, hint="read it again"
            )

    def _now(self) -> list[tuple[int, int]]:
        with damage_named((OSError,), self.path, self.section):
            return [(stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in self._files)]
