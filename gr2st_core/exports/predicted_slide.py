"""One predicted slide, everything that its exports say.

Belongs here: the value and its checks, so that no export has to doubt it. Does not belong here: files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import AlignmentError, NonFiniteError, SchemaError
from gr2st_core.evaluation.conformal import Support
from gr2st_core.images.pixels import Pixels
from gr2st_core.types import BoolArray, FloatArray, ImageSection, Prediction, StrArray


@dataclass(frozen=True, slots=True)
class IntervalEnds:
    """Ends of the interval of every predicted value, in target units.

    Attributes
    ----------
    lower, upper
        float32 ``(n_spots, n_genes)``; NaN in both where a gene has no finite interval.
    level
        Nominal coverage, between 0 and 1.
    support
        Whom the intervals of each gene speak of, as ``evaluation.conformal`` says it; ``none`` where it has none.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    level: float
    support: tuple[Support, ...]

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise SchemaError("nominal coverage lies between 0 and 1", field="level", found=self.level)
        if self.lower.shape != self.upper.shape:
            raise AlignmentError(
                "intervals have two ends", field="upper", expected=self.lower.shape, found=self.upper.shape
            )
        if unknown := sorted(set(self.support) - set(get_args(Support))):
            raise SchemaError("a support is known", field="support", found=unknown, expected=get_args(Support))
        if self.lower.shape[1:] != (len(self.support),):
            raise AlignmentError(
                "one support per gene", field="support", expected=self.lower.shape[1:], found=len(self.support)
            )
        if np.isinf(self.lower).any() or np.isinf(self.upper).any():
            raise NonFiniteError("an interval is finite, or NaN where there is none", field="lower, upper")


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Small copy of the slide.

    Attributes
    ----------
    pixels
        uint8 ``(height, width, 3)``.
    scale
        Thumbnail pixels per pixel of the full resolution, at most 1.
    """

    pixels: Pixels
    scale: float

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise SchemaError(
                "a thumbnail is uint8 (height, width, 3)",
                field="pixels",
                found=f"{self.pixels.dtype} {self.pixels.shape}",
            )
        if not 0 < self.scale <= 1:
            raise SchemaError("a thumbnail is no larger than its slide", field="scale", found=self.scale)


@dataclass(frozen=True, slots=True)
class PredictedSlide:
    """Predicted expression of one slide with all that is known of its spots; rows in the section's order.

    Attributes
    ----------
    section
        Spots and geometry; features are not needed.
    prediction
        Columns in panel order.
    spot_diameter_um
        Diameter at which a spot is drawn.
    provenance
        What made the values (model, method, target, panel, encoders and their licences, versions); plain finite JSON.
    intervals
        None without calibration.
    ood_distance
        Distance of each spot from the training spots, shape ``(n_spots,)``.
    ood_quantile
        Share of left-out training spots that lie nearer, shape ``(n_spots,)``.
    is_unusual
        Whether the spot is out of distribution at the level of the settings, shape ``(n_spots,)``.
    reference_spots
        ``cohort/section/spot`` of the nearest training spots, nearest first, shape ``(n_spots, k)``.
    regions
        Label of each spot, empty outside every region, shape ``(n_spots,)``.
    thumbnail
        None for spots without an image.
    """

    section: ImageSection
    prediction: Prediction
    spot_diameter_um: float
    provenance: Mapping[str, Any]
    intervals: IntervalEnds | None = None
    ood_distance: FloatArray | None = None
    ood_quantile: FloatArray | None = None
    is_unusual: BoolArray | None = None
    reference_spots: StrArray | None = None
    regions: StrArray | None = None
    thumbnail: Thumbnail | None = None

    def __post_init__(self) -> None:
        self._require_same_spots()
        self._require_rows()
        if not np.isfinite(self.prediction.values).all():
            raise NonFiniteError("predicted values are finite", section=self._name, field="prediction")
        if not (np.isfinite(self.spot_diameter_um) and self.spot_diameter_um > 0):
            raise SchemaError(
                "a spot has a diameter", section=self._name, field="spot_diameter_um", found=self.spot_diameter_um
            )
        try:
            json.dumps(dict(self.provenance), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SchemaError(
                "provenance is plain, finite JSON", section=self._name, field="provenance", found=str(error)
            ) from error

    def _require_same_spots(self) -> None:
        if self.n_spots == 0:
            raise SchemaError("a predicted slide has spots", section=self._name, field="section.spot_ids", found=0)
        if self.prediction.key != self.section.key:
            raise AlignmentError(
                "a prediction is of its own section",
                section=self._name,
                field="prediction.key",
                found=str(self.prediction.key),
            )
        if not np.array_equal(self.prediction.spot_ids, self.section.spot_ids):
            raise AlignmentError(
                "predicted spots are the section's, in its order", section=self._name, field="prediction.spot_ids"
            )

    def _require_rows(self) -> None:
        if self.intervals is not None and self.intervals.lower.shape != self.prediction.values.shape:
            raise AlignmentError(
                "one interval per predicted value",
                section=self._name,
                field="intervals",
                expected=self.prediction.values.shape,
                found=self.intervals.lower.shape,
            )
        for name, ndim in _BY_SPOT.items():
            array = getattr(self, name)
            if array is not None and (array.ndim != ndim or len(array) != self.n_spots):
                raise AlignmentError(
                    "one row per spot", section=self._name, field=name, expected=self.n_spots, found=array.shape
                )

    @property
    def _name(self) -> str:
        return str(self.section.key)

    @property
    def n_spots(self) -> int:
        """Number of spots."""
        return self.section.n_spots

    @property
    def genes(self) -> tuple[str, ...]:
        """Predicted genes in panel order."""
        return self.prediction.genes

    @property
    def support(self) -> tuple[Support, ...]:
        """Whom the intervals of each gene speak of, in panel order."""
        nobody: Support = "none"
        return (nobody,) * len(self.genes) if self.intervals is None else self.intervals.support

    @property
    def spot_diameter_px(self) -> float:
        """Diameter of a spot in pixels of the full resolution."""
        return self.spot_diameter_um / self.section.um_per_px

    @property
    def document(self) -> str:
        """Canonical JSON of what every export says about the whole slide: geometry, intervals, provenance."""
        facts = {
            "section": self._name,
            "patient_id": self.section.patient_id,
            "um_per_px": self.section.um_per_px,
            "pitch_px": self.section.pitch_px,
            "spot_diameter_um": self.spot_diameter_um,
            "level": None if self.intervals is None else self.intervals.level,
            "genes_by_support": Counter(self.support),
            "provenance": dict(self.provenance),
        }
        return json.dumps(facts, sort_keys=True, allow_nan=False)


_BY_SPOT = {"ood_distance": 1, "ood_quantile": 1, "is_unusual": 1, "reference_spots": 2, "regions": 1}
"""Dimensions of the arrays that have a row per spot."""
