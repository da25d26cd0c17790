"""Patches of a slide, sized in micrometres and centred on spots.

Belongs here: cropping, resampling, and the facts about both. Does not belong here: colour (``stain``) or features.

A patch spans ``round(span_um / um_per_px)`` image pixels and starts at ``round(centre) - span // 2``. It is cut without
resampling where that equals the encoder's input, else resized (bicubic, antialiased). Beyond the border of the
image the nearest edge pixel is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import ImageError
from gr2st_core.images.pixels import Pixels, SlideImage, resized
from gr2st_core.types import FloatArray

MIN_PATCH_PX = 16
"""A patch of fewer image pixels shows no tissue structure: the image is too coarse, or um per px is wrong."""


@dataclass(frozen=True, slots=True)
class PatchFacts:
    """How the patches of one section are cut.

    Attributes
    ----------
    patch_px
        Side of a patch in image pixels.
    magnification
        Encoder pixels per image pixel; above 1 the image is coarser than the encoder expects.
    n_padded
        Patches that cross the border of the image.
    """

    patch_px: int
    magnification: float
    n_padded: int


def patch_side_px(span_um: float, um_per_px: float, *, section: str | None = None) -> int:
    """Side of a patch in image pixels.

    Raises
    ------
    ImageError
        Fewer than ``MIN_PATCH_PX``.
    """
    if is_too_coarse(span_um, um_per_px):
        raise ImageError(
            "the image is too coarse for the patches",
            section=section,
            field="um_per_px",
            found=um_per_px,
            expected=f"above 0 and at most {span_um / MIN_PATCH_PX:.2f} for a patch of {span_um:g} um",
            hint="check um per px, or use an image of higher resolution",
        )
    return round(span_um / um_per_px)


def is_too_coarse(span_um: float, um_per_px: float) -> bool:
    """Whether a patch would have fewer than ``MIN_PATCH_PX`` image pixels a side."""
    return not (np.isfinite(um_per_px) and um_per_px > 0) or round(span_um / um_per_px) < MIN_PATCH_PX


def patch_facts(
    size_px: tuple[int, int],
    pixel_xy: FloatArray,
    *,
    um_per_px: float,
    span_um: float,
    input_px: int,
    section: str | None = None,
) -> PatchFacts:
    """Work out how patches will be cut, without the image.

    Parameters
    ----------
    size_px
        Width and height of the image.
    pixel_xy
        Spot centres, shape ``(n_spots, 2)``.
    input_px
        Side of the encoder's input.

    Raises
    ------
    ImageError
        The image is too coarse, or a patch is larger than the image.
    """
    side = patch_side_px(span_um, um_per_px, section=section)
    if side > max(size_px):
        raise ImageError(
            "a patch is larger than the image",
            section=section,
            field="um_per_px",
            found=um_per_px,
            expected=f"patches of {span_um:g} um within {size_px[0]}x{size_px[1]} px",
            hint="check um per px",
        )
    start = corners(pixel_xy, side)
    crosses = (start < 0) | (start + side > np.asarray(size_px))
    return PatchFacts(side, input_px / side, int(crosses.any(axis=1).sum()))


def cut_patches(
    slide: SlideImage,
    pixel_xy: FloatArray,
    *,
    um_per_px: float,
    span_um: float,
    input_px: int,
    batch_size: int,
    section: str | None = None,
) -> Iterator[Pixels]:
    """Yield patches around the spots in order, one batch at a time.

    Parameters
    ----------
    slide
        Cut from one patch at a time.
    pixel_xy
        Spot centres on the image, x right, y down, shape ``(n_spots, 2)``.
    span_um
        Side of a patch.
    input_px
        Side of the patches that come out.

    Yields
    ------
    RGB, uint8 ``(n, input_px, input_px, 3)``, ``n`` at most ``batch_size``.

    Raises
    ------
    ImageError
        The image is too coarse, or damaged.
    """
    side = patch_side_px(span_um, um_per_px, section=section)
    starts = corners(pixel_xy, side)
    for first in range(0, len(starts), batch_size):
        batch = starts[first : first + batch_size]
        yield np.stack([resized(slide.region(x, y, side, side), input_px) for x, y in batch.tolist()])


def corners(pixel_xy: FloatArray, side: int) -> NDArray[np.int64]:
    """Left upper pixel of the patch around each spot, shape ``(n_spots, 2)``."""
    return np.rint(pixel_xy).astype(np.int64) - side // 2
