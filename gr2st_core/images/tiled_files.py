"""Which files are read by region, and through which library.

Belongs here: the choice, by content, and the checks before anything is read. Does not belong here: reading (``tiled``
and below), images decoded whole (``slides``).

OpenSlide reads the formats of scanners' vendors. TIFF of no vendor is read through tifffile, which sees the pyramids of
OME-TIFF and passes over missing tiles, unless its compression is one that only OpenSlide knows.
"""

from __future__ import annotations

from pathlib import Path

from gr2st_core.errors import ImageError
from gr2st_core.images.damage import damage_named
from gr2st_core.images.openslide_tiles import GENERIC, OpenSlideTiles, openslide_faults, vendor_of
from gr2st_core.images.tiff_header import DAMAGE, is_tiled, read_header, require_readable
from gr2st_core.images.tiff_tiles import TiffTiles
from gr2st_core.images.tiled import TiledSlide

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MIRAX = ".mrxs"


def open_tiled(path: Path, magic: bytes, section: str | None = None) -> TiledSlide | None:
    """Open a slide that is read by region; None for a file that is decoded whole, or is no image.

    Parameters
    ----------
    magic
        First bytes of the file.
    section
        For error messages.

    Raises
    ------
    ImageError
        Damaged, cut off, without its folder of tiles (mrxs), or of another pixel type than 8-bit RGB.
    """
    if path.suffix.lower() == MIRAX:
        return _open_mirax(path, section)
    return _open_tiff(path, section) if magic.startswith(TIFF_STARTS) else None


def _open_tiff(path: Path, section: str | None) -> TiledSlide | None:
    vendor = vendor_of(path)
    if vendor is None and not is_tiled(path):
        return None
    with damage_named((*DAMAGE, *openslide_faults()), path, section):
        require_readable(path)
        header = read_header(path)
        if vendor is None or (vendor == GENERIC and header.is_decodable):
            return TiledSlide(path, section, TiffTiles(path), header.um_per_px)
        tiles = OpenSlideTiles(path)
        return TiledSlide(path, section, tiles, tiles.um_per_px)


def _open_mirax(path: Path, section: str | None) -> TiledSlide:
    if vendor_of(path) is None:
        raise ImageError(
            "a mrxs slide lacks its folder of tiles",
            file=path,
            section=section,
            expected=f"the folder {path.stem} with Slidedat.ini beside the file",
            hint="copy the folder too",
        )
    with damage_named((OSError, *openslide_faults()), path, section):
        tiles = OpenSlideTiles(path)
        companions = sorted(file for file in path.with_suffix("").rglob("*") if file.is_file())
        return TiledSlide(path, section, tiles, tiles.um_per_px, companions)
