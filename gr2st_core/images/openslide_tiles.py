"""Scanners' formats read through OpenSlide: svs, ndpi, mrxs and the others that it knows.

Belongs here: recognising them, reading rectangles. Does not belong here: TIFF of no vendor (``tiff_tiles``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gr2st_core.images.pixels import Pixels
from gr2st_core.images.scale import square_um_per_px

GENERIC = "generic-tiff"
"""OpenSlide's name for tiled TIFF of no vendor."""

_CACHED_BYTES = 96 << 20


def vendor_of(path: Path) -> str | None:
    """Name of the format by OpenSlide, None if it does not know the file."""
    import openslide

    try:
        vendor: str | None = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None
    return vendor


def openslide_faults() -> tuple[type[Exception], ...]:
    """What OpenSlide raises on damaged files."""
    import openslide

    return (openslide.OpenSlideError,)


class OpenSlideTiles:
    """Levels of a slide, the finest first.

    Raises
    ------
    OpenSlideError
        One of ``faults``: the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        import openslide

        self.faults = openslide_faults()
        self._slide = openslide.OpenSlide(path)
        self._slide.set_cache(openslide.OpenSlideCache(_CACHED_BYTES))

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each level."""
        return tuple(self._slide.level_dimensions)

    @property
    def um_per_px(self) -> float | None:
        """Declared resolution, or None."""
        sides = (self._slide.properties.get(f"openslide.mpp-{axis}") for axis in "xy")
        return square_um_per_px(*(None if side is None else float(side) for side in sides))

    def read(self, level: int, left: int, top: int, width: int, height: int) -> Pixels:
        """Rectangle within a level, uint8 ``(height, width, 3)``; what was never scanned is white.

        Raises
        ------
        OpenSlideError
            One of ``faults``: a tile is damaged.
        """
        scale = self._slide.level_downsamples[level]
        place = (round(left * scale), round(top * scale))
        image = self._slide.read_region(place, level, (width, height))
        if np.asarray(image.getchannel("A")).min() < 255:
            glass = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(glass, image)
        return np.asarray(image.convert("RGB"))
