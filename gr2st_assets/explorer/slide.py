"""The slide as the explorer shows it.

Belongs here: the small copy of its image. Does not belong here: opening images (``gr2st_core.images``).
"""

import io
from typing import TYPE_CHECKING, Any

from gr2st_assets import register
from gr2st_assets.explorer.view import Slide
from gr2st_assets.lake import Lake
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import numpy as np

LONGEST_PX = 1600
QUALITY = 85


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
