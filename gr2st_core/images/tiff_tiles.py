"""Tiled and pyramidal TIFF read tile by tile through tifffile.

Belongs here: the pyramid, decoding of single tiles. Does not belong here: the header (``tiff_header``), vendors'
formats (``openslide_tiles``), regions, thumbnails and errors as the project words them (``tiled``).

Sizes are judged before anything is decoded: of a tile, of its bytes, and of the JPEG image that those bytes hold. A
tile without bytes (sparse files) is glass.
"""

from __future__ import annotations

import io
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from gr2st_core.images.damage import UnfitError
from gr2st_core.images.pixels import Pixels
from gr2st_core.images.tiff_header import COMPRESSIONS, DAMAGE, JPEG, MAX_TILE_PX, require_rgb

_CACHED_BYTES = 96 << 20


@dataclass(frozen=True, slots=True)
class _Level:
    """One resolution: where its tiles (or strips) are in the file, and how they are decoded."""

    size: tuple[int, int]
    tile: tuple[int, int]
    offsets: NDArray[np.int64]
    n_bytes: NDArray[np.int64]
    is_jpeg: bool
    decode: Callable[..., Any]
    jpeg_tables: bytes | None

    @property
    def columns(self) -> int:
        """Tiles side by side."""
        return math.ceil(self.size[0] / self.tile[0])


class TiffTiles:
    """Levels of a tiled TIFF, the finest first.

    Parameters
    ----------
    path
        A file that ``require_readable`` accepted.

    Raises
    ------
    UnfitError
        A compression that is not supported, or a stack of images.
    """

    faults: tuple[type[Exception], ...] = DAMAGE

    def __init__(self, path: Path) -> None:
        import tifffile

        self._path = path
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            levels = [_level(level) for level in series.levels if level.axes == series.axes]
        # A coarser level only saves work, so one that is not readable tile by tile is done without.
        self._levels = [levels[0], *(level for level in levels[1:] if math.prod(level.tile) <= MAX_TILE_PX)]
        self._cache: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._cached_bytes = 0

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each level."""
        return tuple(level.size for level in self._levels)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle within a level, uint8 ``(height, width, 3)``.

        Raises
        ------
        OSError, ValueError, ...
            Any of ``faults``: a tile is damaged.
        """
        pixels = np.full((height, width, 3), 255, np.uint8)
        tile_width, tile_height = self._levels[level].tile
        with self._path.open("rb") as file:
            for row in range(top // tile_height, (top + height - 1) // tile_height + 1):
                for column in range(left // tile_width, (left + width - 1) // tile_width + 1):
                    tile = self._tile(file, level, row * self._levels[level].columns + column)
                    if tile is not None:
                        _paste(tile, pixels, column * tile_width - left, row * tile_height - top)
        return pixels

    def _tile(self, file: IO[bytes], level: int, index: int) -> Pixels | None:
        """Decoded tile, None where the file has none; the last used are kept."""
        key = (level, index)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        tile = _decode(file, self._levels[level], index)
        if tile is not None:
            self._cache[key] = tile
            self._cached_bytes += tile.nbytes
            while self._cached_bytes > _CACHED_BYTES:
                self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return tile


def _level(series: Any) -> _Level:
    pages = [page for page in series.pages if page is not None]
    page = series.keyframe
    if len(pages) != 1 or series.axes != "YXS":
        raise UnfitError("the file holds a stack of images", f"{len(pages)} images, axes {series.axes}", "one, YXS")
    require_rgb(page)
    if int(page.compression) not in COMPRESSIONS:
        known = ", ".join(sorted(set(COMPRESSIONS.values())))
        raise UnfitError("the compression is not supported", str(page.compression), known)
    height, width = series.shape[:2]
    tile = (page.tilewidth, page.tilelength) if page.is_tiled else (width, page.rowsperstrip)
    level = _Level(
        (width, height),
        tile,
        np.asarray(page.dataoffsets, np.int64),
        np.asarray(page.databytecounts, np.int64),
        int(page.compression) == JPEG,
        page.decode,
        page.jpegtables,
    )
    n_tiles = level.columns * math.ceil(height / tile[1])
    if min(len(level.offsets), len(level.n_bytes)) < n_tiles:
        message = f"{len(level.offsets)} of {n_tiles} tiles are there"
        raise OSError(message)
    return level


def _decode(file: IO[bytes], level: _Level, index: int) -> Pixels | None:
    n_bytes, n_pixels = int(level.n_bytes[index]), math.prod(level.tile)
    if n_bytes == 0:
        return None
    if n_bytes > 4 * n_pixels + 65_536:
        message = f"a tile of {n_pixels} px has {n_bytes} bytes"
        raise OSError(message)
    file.seek(int(level.offsets[index]))
    data = file.read(n_bytes)
    if level.is_jpeg:
        _require_jpeg_fits(data, level.tile)
    decoded: Pixels = level.decode(data, index, jpegtables=level.jpeg_tables)[0][0]
    return decoded


def _require_jpeg_fits(data: bytes, tile: tuple[int, int]) -> None:
    """Refuse a JPEG larger than its tile: its codec would make room for whatever it claims to be."""
    width, height = JpegImagePlugin.JpegImageFile(io.BytesIO(data)).size
    if width > tile[0] or height > tile[1]:
        message = f"a tile of {tile[0]}x{tile[1]} px holds a JPEG of {width}x{height} px"
        raise OSError(message)


def _overlap(place: int, length: int, size: int) -> Iterator[slice]:
    """Parts of a tile axis and of an image axis that cover each other, the tile starting at ``place``."""
    first, last = max(place, 0), min(place + length, size)
    yield slice(first - place, last - place)
    yield slice(first, last)


def _paste(tile: Pixels, pixels: Pixels, left: int, top: int) -> None:
    """Copy the part of a tile that lies on ``pixels``, the tile's corner being at ``left``, ``top``."""
    from_rows, to_rows = _overlap(top, tile.shape[0], pixels.shape[0])
    from_columns, to_columns = _overlap(left, tile.shape[1], pixels.shape[1])
    pixels[to_rows, to_columns] = tile[from_rows, from_columns]
