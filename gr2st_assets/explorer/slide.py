"""The slide as the explorer shows it: a small copy, and how large a spot is on it.

Belongs here: thumbnail and spot diameter, and where they are known from. Does not belong here: opening images
(``gr2st_core.images``).
"""

import io
from typing import TYPE_CHECKING, Any

from gr2st_assets import register
from gr2st_assets.explorer.view import Slide
from gr2st_assets.lake import Lake
from gr2st_core.errors import DataError
from gr2st_core.types import SectionKey

if TYPE_CHECKING:
    import numpy as np

LONGEST_PX = 1600
QUALITY = 85
_ARRAYS = ((160.0, 240.0, 100.0), (135.0, 160.0, 110.0), (80.0, 120.0, 55.0))
"""Least and largest pitch of arrays with round spots, and the spots' diameter, um: Spatial Transcriptomics of 1,007
and of 1,934 spots, Visium."""
_BINS_UM = 20.0
"""Up to this pitch spots are square bins side by side."""
_SHARE = 0.55


def spot_diameter(pitch_um: float) -> tuple[float, str]:
    """Diameter of a spot in um, and in words where it is known from: the lake keeps the pitch alone."""
    for least, largest, diameter in _ARRAYS:
        if least <= pitch_um <= largest:
            return diameter, f"Spots are {diameter:.0f} µm wide, as on arrays with a pitch of {pitch_um:.0f} µm."
    if pitch_um <= _BINS_UM:
        return pitch_um, f"Spots are bins side by side, drawn as wide as the pitch of {pitch_um:.3g} µm."
    diameter = _SHARE * pitch_um
    return diameter, f"Spots are drawn {diameter:.3g} µm wide, 0.55 of the pitch: their size is not known."


def read_slide(lake: Lake, key: SectionKey, row: Any, pixel_xy: "np.ndarray") -> Slide:
    """Make the small copy of a section's image.

    Parameters
    ----------
    row
        Of ``raw/slides``.
    pixel_xy
        Spot centres, which say how large a section without an image is.
    """
    if row.image_path is None:
        width, height = (pixel_xy.max(axis=0) + row.pitch_px).round().astype(int).tolist()
        return Slide((width, height), row.um_per_px, None, "The section has no image.")
    size = int(row.width_px), int(row.height_px)
    pixels, reason = _thumbnail(lake, key, row)
    um = row.um_per_px * size[0] / pixels.shape[1]
    return Slide(size, row.um_per_px, _jpeg(pixels), f"H&E at {um:.3g} µm a pixel{reason}.")


def _thumbnail(lake: Lake, key: SectionKey, row: Any) -> "tuple[np.ndarray, str]":
    """Pixels of the image that was registered, made small; where it is no more, those that the lake keeps, and why."""
    import numpy as np
    from PIL import Image

    from gr2st_core.images.slides import open_slide
    from gr2st_core.settings import DEFAULT_LIMITS

    try:
        path = register.load(lake, key.cohort).entry(key).image_path
        if path is not None:
            slide = open_slide(path, max_megapixels=DEFAULT_LIMITS.max_megapixels, section=str(key))
            if slide.sha256 == row.image_sha256:
                return slide.thumbnail(LONGEST_PX), ""
        reason = ", from the lake: the image file is another than was registered"
    except DataError as error:
        reason = f", from the lake: {error.message}"
    return np.asarray(Image.open(io.BytesIO(row.thumbnail_png)).convert("RGB")), reason


def _jpeg(pixels: "np.ndarray") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="jpeg", quality=QUALITY)
    return buffer.getvalue()
