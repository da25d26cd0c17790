"""Predictions that never look at the image: what every method has to beat.

Belongs here: the method ``null`` with its profiles ``training_mean`` and ``same_place``. Does not belong here: the
depth oracle, which sees the counts of the test section (``evaluation.oracle``).

Both learn from every section that they are given, with or without an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import CheckpointError, MissingArtifactError
from gr2st_core.expression.targets import to_target
from gr2st_core.models.stored import describe, read_arrays, read_panel
from gr2st_core.models.training_spots import ID_ARRAYS, TrainingSpots
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.types import FloatArray, ImageSection, Panel, Prediction, StrArray, require_image_sections

_BLOCK = 1024  # query spots compared with the whole bank at once


@dataclass(frozen=True, slots=True)
class FittedMean:
    """One number per gene, float32 ``(n_genes,)``."""

    panel: Panel
    mean: NDArray[np.float32]
    config: Mapping[str, Any]

    def predict(self, section: ImageSection) -> Prediction:
        """Predict the training mean in every spot."""
        require_image_sections([section])
        values = np.repeat(self.mean[None, :], section.n_spots, axis=0)
        return Prediction(section.key, section.spot_ids, self.panel.genes, values)

    def state(self) -> ModelState:
        """Store the mean."""
        return ModelState({"mean": self.mean}, self.config)


class TrainingMeanNull:
    """Mean expression over training spots, all spots weighing the same: the best constant in squared error."""

    method: ClassVar[str] = "null"
    profile = "training_mean"
    needs = Needs()

    def fit(self, request: FitRequest) -> FittedMean:
        """Average."""
        mean = _expression(request).mean(axis=0, dtype=np.float64)
        config = describe(self.method, self.profile, (), request, request.sections)
        return FittedMean(request.panel, mean.astype(np.float32), config)

    def load(self, state: ModelState) -> FittedMean:
        """Restore; any difference from what `FittedMean.state` writes is an error."""
        panel = read_panel(state, self.method, self.profile, ())
        arrays = read_arrays("weights", state.weights, {"mean": (len(panel),)})
        read_arrays("bank", state.bank, {})
        return FittedMean(panel, arrays["mean"], dict(state.config))


@dataclass(frozen=True, slots=True)
class FittedSamePlace:
    """Training spots by place.

    Attributes
    ----------
    places
        In spot pitches from the centroid of the spot's section, float32 ``(n_spots, 2)``.
    expression
        In target units, float32 ``(n_spots, n_genes)``.
    spots
        Identity of the rows.
    patients
        ``cohort/patient`` of the rows.
    """

    panel: Panel
    places: NDArray[np.float32]
    expression: NDArray[np.float32]
    spots: TrainingSpots
    patients: StrArray
    config: Mapping[str, Any]

    def predict(self, section: ImageSection) -> Prediction:
        """Average what lies at each spot's place in the patient's own training sections.

        If the patient has none, all training sections take their place: ``config["fallback"]``, and the fold's
        ``patient_in_training`` tells which of the two a prediction is.
        """
        require_image_sections([section])
        self.spots.refuse(section)
        mates = self.patients == f"{section.key.cohort}/{section.patient_id}"
        used = mates if mates.any() else np.ones_like(mates)
        values = _smooth(_places(section), self.places[used].astype(np.float64), self.expression[used])
        return Prediction(section.key, section.spot_ids, self.panel.genes, values)

    def state(self) -> ModelState:
        """Store nothing but a bank."""
        return ModelState(
            {}, self.config, {"places": self.places, "expression": self.expression, **self.spots.to_arrays()}
        )


class SamePlaceNull:
    """Expression at the same place of the patient's other sections, blurred by a Gaussian of one spot pitch.

    Notes
    -----
    Sections are laid over each other by the centroids of their spots. Far from any training spot the nearest decides.
    It shows how much of a score is recall of the patient: across patients it falls to zero.
    """

    method: ClassVar[str] = "null"
    profile = "same_place"
    needs = Needs()

    def fit(self, request: FitRequest) -> FittedSamePlace:
        """Remember every training spot."""
        sections = request.sections
        expression = _expression(request)
        config = {
            **describe(self.method, self.profile, (), request, sections),
            "fallback": "all training sections, where the patient has none",
        }
        places = np.concatenate([_places(s.image) for s in sections]).astype(np.float32)
        spots = TrainingSpots.of(sections)
        return FittedSamePlace(request.panel, places, expression, spots, _patients(config, spots), config)

    def load(self, state: ModelState) -> FittedSamePlace:
        """Restore; any difference from what `FittedSamePlace.state` writes is an error."""
        panel = read_panel(state, self.method, self.profile, ())
        read_arrays("weights", state.weights, {})
        rows = {name: array for name, array in state.bank.items() if name not in ID_ARRAYS}
        n = len(rows["places"]) if "places" in rows else None
        arrays = read_arrays("bank", rows, {"places": (n, 2), "expression": (n, len(panel))})
        spots = TrainingSpots.from_arrays(state.bank, len(arrays["places"]))
        patients = _patients(state.config, spots)
        return FittedSamePlace(panel, arrays["places"], arrays["expression"], spots, patients, dict(state.config))


def _expression(request: FitRequest) -> NDArray[np.float32]:
    if not request.sections:
        raise MissingArtifactError("a null needs a training section", found=0)
    return np.concatenate([to_target(s.counts, request.panel, request.target) for s in request.sections])


def _places(section: ImageSection) -> FloatArray:
    return np.asarray(section.pitch_xy - section.pitch_xy.mean(axis=0))


def _patients(config: Mapping[str, Any], spots: TrainingSpots) -> StrArray:
    """Donor of each row, from the training sections that the config lists."""
    try:
        owner = {row["section"]: f"{row['section'].partition('/')[0]}/{row['patient']}" for row in config["sections"]}
        return np.array([owner[key] for key in spots.section_keys.tolist()])
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError("training sections and bank differ", field="sections", found=repr(error)) from error


def _smooth(queries: FloatArray, places: FloatArray, expression: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gaussian mean of the expression around each query place."""
    values = expression.astype(np.float64)
    means = np.empty((len(queries), values.shape[1]), dtype=np.float32)
    for start in range(0, len(queries), _BLOCK):
        offsets = queries[start : start + _BLOCK, None, :] - places[None, :, :]
        exponent = -np.square(offsets).sum(axis=2) / 2
        # Shifted by the nearest spot's, so that a place far from all others does not divide by zero.
        weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        means[start : start + _BLOCK] = weights @ values / weights.sum(axis=1, keepdims=True)
    return means
