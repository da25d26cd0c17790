"""Patches of one section's image for methods that read pixels.

Belongs here: opening the image when patches are asked for, and handing all of them over at once. Does not belong here:
how a patch is cut (``patches``), encoders, who keeps patches for how long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gr2st_core.errors import ImageError
from gr2st_core.images.patches import cut_patches
from gr2st_core.images.pixels import Pixels, SlideImage
from gr2st_core.images.slides import require_on_image
from gr2st_core.types import FloatArray

MAX_BYTES = 2 << 30
"""Pixels handed over at once: 57,000 patches of 112 px, 14,000 of 224 px."""
_BATCH = 64
"""Patches that are in memory twice, as they are cut and in the whole."""


@dataclass(frozen=True, slots=True)
class SlidePatches:
    """The ``PatchReader`` of a section with an image.

    Colours are those of the file: no published system that reads pixels normalises stain, and what it learns of colour
    is part of what is compared. ``ImageSettings.stain`` speaks of encoders' patches only.

    The image is opened anew each time: a fold holds the readers of all its sections, and an image that is decoded whole
    takes hundreds of megabytes.

    Attributes
    ----------
    open_slide
        Opens the image.
    sha256
        Checksum of the image that is expected; None takes any.
    """

    open_slide: Callable[[], SlideImage]
    sha256: str | None = None

    def __call__(self, pixel_xy: FloatArray, um_per_px: float, *, span_um: float, input_px: int) -> Pixels:
        """Patches centred on places of the image: see ``PatchReader``.

        Raises
        ------
        ImageError
            The image is damaged, too coarse for the span, or not the expected one; a place is off it, or there are
            more than ``MAX_BYTES`` hold.
        """
        slide = self.open_slide()
        if self.sha256 is not None and slide.sha256 != self.sha256:
            raise ImageError(
                "the image is not the one that the section was made from",
                section=slide.section,
                file=slide.path,
                found=slide.sha256[:16],
                expected=self.sha256[:16],
                hint="add the cohort again and materialize",
            )
        names = np.array([f"row {row}" for row in range(len(pixel_xy))])
        require_on_image(pixel_xy, slide.size_px, names, slide.section)
        shape = (len(pixel_xy), input_px, input_px, 3)
        if math.prod(shape) > MAX_BYTES:
            raise ImageError(
                "the section has too many spots for a method that reads the patches of all at once",
                section=slide.section,
                found=len(pixel_xy),
                expected=f"at most {MAX_BYTES // math.prod(shape[1:])} of {input_px} px",
                hint="use a method on patch features, or fewer spots",
            )
        found = np.empty(shape, dtype=np.uint8)
        batches = cut_patches(
            slide,
            pixel_xy,
            um_per_px=um_per_px,
            span_um=span_um,
            input_px=input_px,
            batch_size=_BATCH,
            section=slide.section,
        )
        for number, batch in enumerate(batches):
            found[number * _BATCH : number * _BATCH + len(batch)] = batch
        return found
