"""Patches of several spans around the same spots, each spot read once.

Belongs here: what several encoders see of a spot, cut from one region. Does not belong here: a single encoder's
patches (``patches``), running encoders (``encode_slide``).

A patch is what ``patches.cut_patches`` gives: the smaller spans are the middle of the largest, where edge pixels are
repeated beyond the border all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr2st_core.images.patches import corners, patch_side_px
from gr2st_core.images.pixels import Pixels, SlideImage, resized
from gr2st_core.images.spec import EncoderSpec
from gr2st_core.types import FloatArray

View = tuple[float, int]
"""Span in um and side in pixels of what an encoder sees."""


def view_of(spec: EncoderSpec) -> View:
    """What an encoder sees of a spot; encoders that see the same share their patches."""
    return spec.span_um, spec.input_px


@dataclass(frozen=True, slots=True)
class SpotPatches:
    """Patches of a slide for some encoders.

    Attributes
    ----------
    views
        Each once.
    um_per_px
        Of the slide.
    """

    slide: SlideImage
    views: tuple[View, ...]
    um_per_px: float

    @classmethod
    def of(cls, slide: SlideImage, specs: Sequence[EncoderSpec], um_per_px: float) -> SpotPatches:
        """Patches for these encoders."""
        return cls(slide, tuple(dict.fromkeys(map(view_of, specs))), um_per_px)

    def cut(self, pixel_xy: FloatArray) -> dict[View, Pixels]:
        """Patches around some spots, uint8 ``(n_spots, input_px, input_px, 3)`` for each view.

        Raises
        ------
        ImageError
            The slide is too coarse for a span, or damaged.
        """
        sides = {view: patch_side_px(view[0], self.um_per_px, section=self.slide.section) for view in self.views}
        largest = max(sides.values())
        found = {view: np.empty((len(pixel_xy), view[1], view[1], 3), np.uint8) for view in self.views}
        for row, (left, top) in enumerate(corners(pixel_xy, largest).tolist()):
            region = self.slide.region(left, top, largest, largest)
            for view, side in sides.items():
                first = largest // 2 - side // 2
                found[view][row] = resized(region[first : first + side, first : first + side], view[1])
        return found
