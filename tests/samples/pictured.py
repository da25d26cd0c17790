"""Sections whose image can be read, with a known link from what it shows to the counts; comparators to try on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.predictor import Predictor
from gr2st_core.settings import Settings
from gr2st_core.types import FloatArray, TrainSection

EPOCHS = 2


@dataclass(frozen=True)
class PlantedPixels:
    """Reads patches of an image in which each spot has a colour, with a texture that is the same everywhere."""

    pixel_xy: FloatArray
    colours: FloatArray

    def __call__(
        self,
        pixel_xy: FloatArray,
        um_per_px: float,  # noqa: ARG002 - a spot is one colour at any scale
        *,
        span_um: float,  # noqa: ARG002
        input_px: int,
    ) -> np.ndarray:
        nearest = ((pixel_xy[:, None] - self.pixel_xy[None]) ** 2).sum(axis=2).argmin(axis=1)
        texture = np.random.default_rng(0).normal(0, 10, (1, input_px, input_px, 1))
        pixels = self.colours[nearest][:, None, None, :] + texture
        return np.clip(pixels, 0, 255).astype(np.uint8)


def with_pixels(section: TrainSection) -> TrainSection:
    """Give a planted section an image that shows its first features as colours."""
    colours = 128 + 30 * section.image.features[M224[0]][:, :3]
    reader = PlantedPixels(section.image.pixel_xy, colours)
    return replace(section, image=replace(section.image, patches=reader))


def quick(name: str, **changes: Any) -> Predictor:
    """Make a comparator that trains for ``EPOCHS`` epochs at most."""
    field = METHODS[name].settings
    own = getattr(Settings(), field).model_copy(update={"epochs": EPOCHS, **changes})
    return METHODS[name].build(Settings().model_copy(update={field: own}))
