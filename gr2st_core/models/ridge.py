"""Ridge regression on principal components of patch features: the baseline to beat.

Belongs here: the method ``ridge``. Does not belong here: features, the inner search (``selection``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gr2st_core.expression.targets import to_target
from gr2st_core.models.linear import Projection, fit_projection, require_width, stack_training, with_features
from gr2st_core.models.selection import PredictEach, choose
from gr2st_core.models.stored import describe, read_arrays, read_panel
from gr2st_core.predictor import FitRequest, ModelState, Needs, stack_features
from gr2st_core.settings import RidgeSettings
from gr2st_core.types import ImageSection, Panel, Prediction, TrainSection, require_image_sections

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedRidge:
    """A trained ridge regression.

    Attributes
    ----------
    coefficients
        Component by gene, float32 ``(n_components, n_genes)``.
    intercept
        Mean training expression, float32 ``(n_genes,)``.
    """

    features: tuple[str, ...]
    panel: Panel
    projection: Projection
    coefficients: NDArray[np.float32]
    intercept: NDArray[np.float32]
    config: Mapping[str, Any]

    def predict(self, section: ImageSection) -> Prediction:
        """Predict each spot from its own patch."""
        require_image_sections([section])
        rows = stack_features(section, self.features)
        require_width(section, rows, len(self.projection.mean))
        values = self.intercept + self.projection(rows) @ self.coefficients.astype(np.float64)
        return Prediction(section.key, section.spot_ids, self.panel.genes, values.astype(np.float32))

    def state(self) -> ModelState:
        """Store weights alone: nothing of a training spot is kept."""
        weights = {
            "feature_mean": self.projection.mean,
            "basis": self.projection.basis,
            "coefficients": self.coefficients,
            "intercept": self.intercept,
        }
        return ModelState(weights, self.config)


class RidgePredictor:
    """Ridge with its penalty chosen inside training.

    Parameters
    ----------
    features
        Encoders whose patch features are concatenated.
    profile
        Name of the feature set.

    Notes
    -----
    All training spots weigh the same. Standardisation, components and coefficients are refitted in every inner split.
    """

    method: ClassVar[str] = "ridge"

    def __init__(self, features: Sequence[str], settings: RidgeSettings, profile: str) -> None:
        self.profile = profile
        self.needs = Needs(features=tuple(features))
        self.settings = settings

    def fit(self, request: FitRequest) -> FittedRidge:
        """Choose the penalty on inner splits, then fit on all training sections that have an image."""
        sections = with_features(request.sections, self.needs.features)
        # From the strongest: of equal scores the more cautious wins.
        penalties = sorted(set(self.settings.penalties), reverse=True)

        def fit_each(train: Sequence[TrainSection]) -> PredictEach:
            return self._paths(train, request, penalties)

        choice = choose(penalties, request, sections, fit_each)
        projection, system = self._decompose(sections, request)
        config = {
            **describe(self.method, self.profile, self.needs.features, request, sections),
            "settings": self.settings.model_dump(mode="json"),
            "choice": choice.as_config("penalty", penalties),
        }
        coefficients = system.solve(choice.best).astype(np.float32)
        intercept = system.intercept.astype(np.float32)
        return FittedRidge(self.needs.features, request.panel, projection, coefficients, intercept, config)

    def load(self, state: ModelState) -> FittedRidge:
        """Restore; any difference from what `FittedRidge.state` writes is an error."""
        panel = read_panel(state, self.method, self.profile, self.needs.features)
        d, k = state.weights["basis"].shape if "basis" in state.weights else (None, None)
        shapes = {"feature_mean": (d,), "basis": (d, k), "coefficients": (k, len(panel)), "intercept": (len(panel),)}
        arrays = read_arrays("weights", state.weights, shapes)
        read_arrays("bank", state.bank, {})
        projection = Projection(arrays["feature_mean"], arrays["basis"])
        return FittedRidge(
            self.needs.features, panel, projection, arrays["coefficients"], arrays["intercept"], dict(state.config)
        )

    def _paths(self, train: Sequence[TrainSection], request: FitRequest, penalties: Sequence[float]) -> PredictEach:
        projection, system = self._decompose(train, request)
        solutions = [system.solve(penalty) for penalty in penalties]

        def predict_each(section: ImageSection) -> Iterator[Floats]:
            components = projection(stack_features(section, self.needs.features))
            return (system.intercept + components @ solution for solution in solutions)

        return predict_each

    def _decompose(self, sections: Sequence[TrainSection], request: FitRequest) -> tuple[Projection, _NormalEquations]:
        rows = stack_training(sections, self.needs.features)
        projection = fit_projection(rows, self.settings.max_pcs)
        targets = [to_target(s.counts, request.panel, request.target) for s in sections]
        return projection, _NormalEquations.of(projection(rows), np.concatenate(targets).astype(np.float64))


@dataclass(frozen=True, slots=True)
class _NormalEquations:
    """What ridge needs of the training rows, whatever the penalty."""

    gram: Floats
    moments: Floats
    intercept: Floats

    @classmethod
    def of(cls, components: Floats, targets: Floats) -> _NormalEquations:
        intercept = targets.mean(axis=0)
        return cls(components.T @ components, components.T @ (targets - intercept), intercept)

    def solve(self, penalty: float) -> Floats:
        system = self.gram + penalty * np.eye(len(self.gram))
        return np.asarray(linalg.solve(system, self.moments, assume_a="pos"))
