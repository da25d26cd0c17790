"""Patch features on the scale of the training spots.

Belongs here: ``FeatureScaler``. Does not belong here: anything fitted on a query section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.models.linear import require_width, stack_training
from gr2st_core.predictor import stack_features
from gr2st_core.types import ImageSection, TrainSection


@dataclass(frozen=True, slots=True)
class FeatureScaler:
    """Standardise features.

    Attributes
    ----------
    names
        Encoders, concatenated in this order.
    mean, spread
        Of the training spots, float32 ``(d_raw,)``; a constant feature has spread 1.
    """

    names: tuple[str, ...]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def fit(cls, sections: Sequence[TrainSection], names: tuple[str, ...]) -> FeatureScaler:
        """Fit on all spots of the training sections."""
        rows = stack_training(sections, names)
        mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        spread[spread <= 1e-6 * np.abs(rows).max(axis=0)] = 1.0
        return cls(names, mean.astype(np.float32), spread.astype(np.float32))

    @property
    def d_features(self) -> int:
        """Width of what ``transform`` returns."""
        return len(self.mean)

    def transform(self, section: ImageSection) -> NDArray[np.float32]:
        """Features of a section as the network reads them, float32 ``(n_spots, d_features)``.

        Raises
        ------
        MissingArtifactError
            An encoder's features are absent, or of another width than in training.
        """
        rows = stack_features(section, self.names)
        require_width(section, rows, len(self.mean))
        scaled: NDArray[np.float32] = (rows - self.mean) / self.spread
        return scaled

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store."""
        return {"mean": self.mean, "spread": self.spread}

    @classmethod
    def from_arrays(cls, names: tuple[str, ...], arrays: Mapping[str, NDArray[Any]]) -> FeatureScaler:
        """Restore a stored scaler."""
        return cls(names, arrays["mean"], arrays["spread"])
