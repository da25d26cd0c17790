"""What the header of a TIFF says, and whether all it names is in the file.

Belongs here: the first page, tiles' pixel type, size and place. Does not belong here: decoding (``tiff_tiles``).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gr2st_core.images.damage import UnfitError
from gr2st_core.images.scale import declared_um_per_px

MAX_TILE_PX = 2**24
"""Pixels of one tile or strip: what has to be decoded to see a single pixel of it."""

DAMAGE = (
    OSError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError, ImportError, SyntaxError, struct.error,
)  # fmt: skip
"""What tifffile, its codecs and Pillow's JPEG header raise on damaged or hostile files."""

JPEG = 7
COMPRESSIONS = {1: "none", 5: "LZW", JPEG: "JPEG", 8: "deflate", 32946: "deflate", 50000: "zstd"}
"""Those whose codecs cannot be made to unpack more than a tile, by TIFF number."""

_MAX_PAGES = 256
_RGB, _YCBCR = 2, 6


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
        return TiffHeader(int(first.compression) in COMPRESSIONS, _um_per_px(first))


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
        require_rgb(file.pages[0])
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


def require_rgb(page: Any) -> None:
    """Refuse a page that is not 8-bit RGB with its colours side by side.

    Raises
    ------
    UnfitError
    """
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
    if not page.is_tiled:
        return
    sides = (page.tilewidth, page.tilelength)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        message = "the sides of a tile are not two numbers"
        raise ValueError(message)
    if math.prod(sides) > MAX_TILE_PX:
        raise UnfitError("a tile is too large", f"{sides[0]}x{sides[1]} px", f"at most {MAX_TILE_PX} px")
