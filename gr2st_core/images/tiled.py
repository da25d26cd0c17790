"""Slides that are read by region and never whole.

Belongs here: their regions and thumbnails, and what each may cost. Does not belong here: which files are read so
(``tiled_files``), file formats (``tiff_tiles``, ``openslide_tiles``), images decoded whole (``slides``).

Regions, and with them patches, come from full resolution, so a tiled slide gives the features of the same image decoded
whole. Coarser levels are for thumbnails alone: EfficientNet-Lite0 features of her2st C5 made from a level with twice
the encoder's resolution differ from those of full resolution by 0.13 of their spread over spots (median over features),
from one with the encoder's own resolution by 0.28 to 0.37.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from gr2st_core.containers.checksums import file_sha256
from gr2st_core.errors import ImageError
from gr2st_core.images.damage import CONVERT, damage_named
from gr2st_core.images.pixels import Pixels, clipped
from gr2st_core.images.thumbnails import GAP, shrink, thumbnail_size

MAX_REGION_PX = 2**26
"""Pixels read at once: 200 MB, and as much again while they are converted."""
MAX_THUMBNAIL_PX = 2**31
"""Pixels read for one thumbnail, about a minute: a larger slide needs a pyramid."""


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
        found = [file_sha256(path) for path in self._files]
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

    def thumbnail(self, max_px: int) -> Pixels:
        """Antialiased copy whose longer side is ``max_px`` at most, uint8 ``(height, width, 3)``.

        Made from the coarsest level with twice its pixels a side; made from full resolution it equals that of the same
        image decoded whole.

        Raises
        ------
        ImageError
            A tile is damaged, the file changed, or the level to read is above ``MAX_THUMBNAIL_PX``.
        """
        size = thumbnail_size(self.size_px, max_px)
        sizes = self._tiles.sizes
        fine = [all(n >= GAP * wanted for n, wanted in zip(found, size, strict=True)) for found in sizes]
        level = max((number for number, is_fine in enumerate(fine) if is_fine), default=0)
        full = sizes[level]
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
