"""Reinhard stain normalisation of a section towards a shipped constant.

Belongs here: the map from a section's colours to the reference, fitted on its tissue as a whole. Does not belong
here: fitting the reference to data. A map per patch would erase the differences between spots, so there is none.

Source: Reinhard et al., "Color transfer between images", IEEE CG&A 21(5), 2001; colours are compared in the
decorrelated lab space of Ruderman et al. 1998, natural logarithms of cone responses on the 0-255 scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import ImageError
from gr2st_core.images.pixels import Pixels, SlideImage
from gr2st_core.images.slides import tissue_mask
from gr2st_core.types import BoolArray

Stain = Literal["none", "reinhard"]

REFERENCE_MEAN = (8.7, -0.12, 0.045)
"""Mean of the reference tissue in lab space. Our own choice: a well-stained H&E section as commonly published, rounded;
it was not computed from any section that this project reads."""
REFERENCE_STD = (0.6, 0.11, 0.03)
"""Standard deviation of the reference tissue in lab space; same origin."""

THUMBNAIL_PX = 2048
"""Longer side of the thumbnail on which a section's colours are measured."""

_RGB_TO_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LOG_LMS_TO_LAB = np.diag(1 / np.sqrt([3.0, 6.0, 2.0])) @ np.array([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]])
_LAB_TO_LOG_LMS = np.linalg.inv(_LOG_LMS_TO_LAB)
_LMS_TO_RGB = np.linalg.inv(_RGB_TO_LMS)
_MIN_STD = 1e-3


@dataclass(frozen=True, slots=True)
class StainMap:
    """Affine map in lab space, ``lab * gain + offset`` per channel.

    Attributes
    ----------
    gain, offset
        Shape ``(3,)``.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __call__(self, pixels: Pixels) -> Pixels:
        """Recolour RGB pixels, uint8 ``(..., 3)`` in and out."""
        lab = rgb_to_lab(pixels) * self.gain.astype(np.float32) + self.offset.astype(np.float32)
        rgb = np.exp(lab @ _LAB_TO_LOG_LMS.T.astype(np.float32)) @ _LMS_TO_RGB.T.astype(np.float32)
        recoloured: Pixels = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
        return recoloured


def rgb_to_lab(pixels: Pixels) -> NDArray[np.float32]:
    """Colours in Ruderman's lab space, same shape; black counts as 1 of 255, so that its logarithm exists."""
    lms = np.maximum(pixels.astype(np.float32), 1.0) @ _RGB_TO_LMS.T.astype(np.float32)
    lab: NDArray[np.float32] = np.log(lms) @ _LOG_LMS_TO_LAB.T.astype(np.float32)
    return lab


def fit_stain(pixels: Pixels, tissue: BoolArray, *, section: str | None = None) -> StainMap:
    """Map that gives the tissue of a section the reference's mean and standard deviation.

    Parameters
    ----------
    pixels
        Section or its thumbnail, uint8 ``(height, width, 3)``.
    tissue
        Pixels to measure, shape ``(height, width)``.

    Raises
    ------
    ImageError
        No tissue, or tissue of a single colour.
    """
    lab = rgb_to_lab(pixels[tissue]).astype(np.float64)
    if len(lab) == 0 or (lab.std(axis=0) < _MIN_STD).any():
        raise ImageError(
            "stain cannot be measured",
            section=section,
            found=f"{len(lab)} tissue pixels of near uniform colour",
            hint="set images.stain to none",
        )
    gain = np.array(REFERENCE_STD) / lab.std(axis=0)
    return StainMap(gain, np.array(REFERENCE_MEAN) - gain * lab.mean(axis=0))


def stain_map(kind: Stain, slide: SlideImage) -> Callable[[Pixels], Pixels]:
    """Recolouring for all patches of a slide; ``none`` changes nothing.

    Raises
    ------
    ImageError
        The slide shows no tissue.
    """
    if kind == "none":
        return _unchanged
    thumbnail = slide.thumbnail(THUMBNAIL_PX)
    return fit_stain(thumbnail, tissue_mask(thumbnail), section=slide.section)


def _unchanged(pixels: Pixels) -> Pixels:
    return pixels
