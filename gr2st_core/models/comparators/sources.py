"""Where the rows of a section come from: its image, or a frozen encoder.

Belongs here: both sources, fitted on training sections where there is anything to fit. Does not belong here: networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gr2st_core.errors import MissingArtifactError
from gr2st_core.models.gr2st.stored import require_array
from gr2st_core.models.gr2st_published.scaling import FeatureScaler
from gr2st_core.models.linear import with_features
from gr2st_core.predictor import Needs
from gr2st_core.types import ImageSection, TrainSection


class Reader(Protocol):
    """A source that is ready to read any section."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row: ``(3, input_px, input_px)`` or ``(d_features,)``."""
        ...

    def __call__(self, section: ImageSection) -> Tensor:
        """Rows of a section in its order of spots, on the CPU."""
        ...

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What was fitted, to be stored."""
        ...


class Source(Protocol):
    """Where a profile's rows come from."""

    @property
    def needs(self) -> Needs:
        """What must be present on a section."""
        ...

    def usable(self, sections: Sequence[TrainSection]) -> list[TrainSection]:
        """Training sections that can be read, in key order."""
        ...

    def fit(self, sections: Sequence[TrainSection]) -> Reader:
        """Learn the scale of rows from training sections."""
        ...

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Reader:
        """Restore what ``fit`` learnt."""
        ...


@dataclass(frozen=True, slots=True)
class Patches:
    """Patches around the spots, read from the image when they are asked for; its own reader, as nothing is fitted.

    Attributes
    ----------
    span_um, input_px
        Side of a patch in micrometres and pixels.
    """

    span_um: float
    input_px: int

    @property
    def needs(self) -> Needs:
        """The image itself."""
        return Needs(pixels=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, rows, columns."""
        return 3, self.input_px, self.input_px

    def usable(self, sections: Sequence[TrainSection]) -> list[TrainSection]:
        """Sections with an image.

        Raises
        ------
        MissingArtifactError
            There is none.
        """
        if not (usable := sorted((s for s in sections if s.image.patches is not None), key=lambda s: s.key)):
            raise MissingArtifactError("no training section has an image to read", found=len(sections))
        return usable

    def fit(self, sections: Sequence[TrainSection]) -> Patches:  # noqa: ARG002 - nothing is learnt
        """Return itself."""
        return self

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> Patches:  # noqa: ARG002 - nothing is stored
        """Return itself."""
        return self

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Nothing."""
        return {}

    def __call__(self, section: ImageSection) -> Tensor:
        """Patches of all spots, uint8 ``(n_spots, 3, input_px, input_px)``.

        Raises
        ------
        MissingArtifactError
            The section has no image.
        ImageError
        """
        if section.patches is None:
            raise MissingArtifactError(
                "the method reads pixels, and the section has no image", section=str(section.key)
            )
        pixels = section.patches(section.pixel_xy, section.um_per_px, span_um=self.span_um, input_px=self.input_px)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


@dataclass(frozen=True, slots=True)
class Features:
    """Frozen patch features, standardised by the training spots.

    Attributes
    ----------
    names
        Encoders, concatenated in this order.
    """

    names: tuple[str, ...]

    @property
    def needs(self) -> Needs:
        """Features of the encoders."""
        return Needs(features=self.names)

    def usable(self, sections: Sequence[TrainSection]) -> list[TrainSection]:
        """Sections with features."""
        return with_features(sections, self.names)

    def fit(self, sections: Sequence[TrainSection]) -> FeatureReader:
        """Take mean and spread of the training spots."""
        return FeatureReader(FeatureScaler.fit(sections, self.names))

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> FeatureReader:
        """Restore a stored scaler.

        Raises
        ------
        CheckpointError
        """
        width = arrays["mean"].shape[:1] if "mean" in arrays else (0,)
        for name in ("mean", "spread"):
            require_array(f"source.{name}", arrays.get(name, np.zeros(0)), np.float32, width)
        return FeatureReader(FeatureScaler.from_arrays(self.names, arrays))


@dataclass(frozen=True, slots=True)
class FeatureReader:
    """Features on the scale of the training spots."""

    scaler: FeatureScaler

    @property
    def shape(self) -> tuple[int, ...]:
        """Width of a row."""
        return (self.scaler.d_features,)

    def __call__(self, section: ImageSection) -> Tensor:
        """Features of all spots, float32 ``(n_spots, d_features)``.

        Raises
        ------
        MissingArtifactError
        """
        return torch.from_numpy(self.scaler.transform(section))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Mean and spread."""
        return self.scaler.to_arrays()
