"""Tiled and pyramidal TIFF read tile by tile through tifffile.

Belongs here: what a TIFF header says, whether all it names is in the file, decoding of single tiles. Does not belong
here: vendors' formats (``openslide_tiles``), regions, thumbnails and errors as the project words them (``tiled``).

Sizes are judged before anything is decoded: of a tile, of its bytes, and of the JPEG image that those bytes hold. A
tile without bytes (sparse files) is glass.
"""

from __future__ import annotations

import io
import math
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from gr2st_core.images.damage import UnfitError
from gr2st_core.images.pixels import Pixels
from gr2st_core.images.scale import declared_um_per_px

MAX_TILE_PX = 2**24
"""Pixels of one tile or strip: what has to be decoded to see a single pixel of it."""

DAMAGE = (OSError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, ImportError, struct.error)
"""What tifffile and its codecs raise on damaged or hostile files."""

_CACHED_BYTES = 96 << 20
_MAX_PAGES = 256
_RGB, _YCBCR = 2, 6
_JPEG = 7
_COMPRESSIONS = {1: "none", 5: "LZW", _JPEG: "JPEG", 8: "deflate", 32946: "deflate", 50000: "zstd"}


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the header of a TIFF says.

    Attributes
    ----------
    is_decodable
        Whether its compression is known here.
    um_per_px
        Declared resolution, or None.
    """

    is_decodable: bool
    um_per_px: float | None


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


def is_tiled(path: Path) -> bool:
    """Whether a file is a TIFF whose first page is tiled; False where its header cannot be read."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            first: Any = file.pages[0]
            return bool(first.is_tiled)
    except DAMAGE:
        return False


def read_header(path: Path) -> TiffHeader:
    """Read what the first page says.

    Raises
    ------
    OSError, ValueError, ...
        Any of ``DAMAGE``: no TIFF, or cut off.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        first: Any = file.pages[0]
        return TiffHeader(int(first.compression) in _COMPRESSIONS, _um_per_px(first))


def require_readable(path: Path) -> None:
    """Refuse tiles that are not 8-bit RGB, that lie beyond the end of the file, or are larger than any scanner's.

    Raises
    ------
    UnfitError
        Another pixel type, or too large.
    OSError, ValueError, ...
        Any of ``DAMAGE``: cut off.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        _require_rgb(file.pages[0])
        for page in islice(_all_pages(file), _MAX_PAGES):
            _require_within(page, path)


def _all_pages(file: Any) -> Iterator[Any]:
    """Pages of the file, each followed by those that hang on it (levels of OME pyramids)."""
    for page in file.pages:
        yield page
        if page.subifds:
            yield from page.pages


def _um_per_px(page: Any) -> float | None:
    def side(tag: int) -> float | None:
        value = page.tags.valueof(tag)
        return value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else None

    return declared_um_per_px(page.description or "", (side(282), side(283)), int(page.tags.valueof(296, 2)))


def _require_rgb(page: Any) -> None:
    kind = (int(page.photometric), page.samplesperpixel, str(page.dtype), page.planarconfig)
    if kind not in {(_RGB, 3, "uint8", 1), (_YCBCR, 3, "uint8", 1)}:
        found = f"photometric {kind[0]}, {kind[1]} samples of {kind[2]}, planar configuration {kind[3]}"
        raise UnfitError("the pixel type is not supported", found, "8-bit RGB, contiguous")


def _require_within(page: Any, path: Path) -> None:
    ends = np.asarray(page.dataoffsets, np.int64) + np.asarray(page.databytecounts, np.int64)
    n_bytes = path.stat().st_size
    if len(ends) and ends.max() > n_bytes:
        message = f"tiles end at byte {ends.max()} of a file of {n_bytes} bytes"
        raise OSError(message)
    if page.is_tiled and page.tilewidth * page.tilelength > MAX_TILE_PX:
        tile = f"{page.tilewidth}x{page.tilelength} px"
        raise UnfitError("a tile is too large", tile, f"at most {MAX_TILE_PX} px")


class TiffTiles:
    """Levels of a tiled TIFF, the finest first.

    Parameters
    ----------
    path
        A file that ``read_header`` accepted.

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
    _require_rgb(page)
    if int(page.compression) not in _COMPRESSIONS:
        known = ", ".join(sorted(set(_COMPRESSIONS.values())))
        raise UnfitError("the compression is not supported", str(page.compression), known)
    height, width = series.shape[:2]
    tile = (page.tilewidth, page.tilelength) if page.is_tiled else (width, page.rowsperstrip)
    level = _Level(
        (width, height),
        tile,
        np.asarray(page.dataoffsets, np.int64),
        np.asarray(page.databytecounts, np.int64),
        int(page.compression) == _JPEG,
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
