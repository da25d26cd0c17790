"""Nearest training spots in feature space: what retrieval gives without any learning.

Belongs here: the method ``knn``. Does not belong here: learned embeddings, the inner search (``selection``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gr2st_core.expression.targets import to_target
from gr2st_core.models.linear import Projection, fit_projection, require_width, stack_training, with_features
from gr2st_core.models.selection import PredictEach, choose
from gr2st_core.models.stored import describe, read_arrays, read_choice, read_panel
from gr2st_core.models.training_spots import ID_ARRAYS, TrainingSpots
from gr2st_core.predictor import FitRequest, ModelState, Needs, stack_features
from gr2st_core.retrieval.references import References
from gr2st_core.settings import KnnSettings
from gr2st_core.types import ImageSection, Panel, Prediction, TrainSection, require_image_sections

Floats = NDArray[np.float64]

_BLOCK = 1024  # query spots compared with the whole bank at once


@dataclass(frozen=True, slots=True)
class FittedKnn:
    """Training spots to compare with, and how many of them to average.

    Attributes
    ----------
    bank
        Rows of ``spots``.
    n_neighbours
        At most the whole bank is averaged.
    """

    features: tuple[str, ...]
    panel: Panel
    projection: Projection
    bank: _Bank
    spots: TrainingSpots
    n_neighbours: int
    config: Mapping[str, Any]

    def predict(self, section: ImageSection) -> Prediction:
        """Average the expression of each spot's most similar training spots."""
        (values,) = self.bank.averages(self._components(section), [self.n_neighbours])
        return Prediction(section.key, section.spot_ids, self.panel.genes, values.astype(np.float32))

    def references(self, section: ImageSection, k: int) -> References:
        """Name the training spots that are averaged, all of one weight, the most similar first: see ``LooksUp``."""
        order = np.concatenate(list(self.bank.ranked(self._components(section))))[:, : self.n_neighbours]
        weights = np.full(order.shape, 1 / order.shape[1])
        return References.of(self.spots, order, weights, k, part="values", share=1.0)

    def _components(self, section: ImageSection) -> Floats:
        require_image_sections([section])
        self.spots.refuse(section)
        rows = stack_features(section, self.features)
        require_width(section, rows, len(self.projection.mean))
        return self.projection(rows)

    def state(self) -> ModelState:
        """Store the projection as weights, the training spots as bank."""
        weights = {"feature_mean": self.projection.mean, "basis": self.projection.basis}
        rows = {"embeddings": self.bank.embeddings, "expression": self.bank.expression}
        return ModelState(weights, self.config, {**rows, **self.spots.to_arrays()})


class KnnPredictor:
    """Mean expression of the nearest training spots by cosine; their number is chosen inside training.

    Parameters
    ----------
    features
        Encoders whose patch features are concatenated.
    profile
        Name of the feature set.
    """

    method: ClassVar[str] = "knn"

    def __init__(self, features: Sequence[str], settings: KnnSettings, profile: str) -> None:
        self.profile = profile
        self.needs = Needs(features=tuple(features))
        self.settings = settings

    def fit(self, request: FitRequest) -> FittedKnn:
        """Choose the number of neighbours on inner splits, then keep all training spots that have an image."""
        sections = with_features(request.sections, self.needs.features)
        # From the most: of equal scores the smoother wins.
        neighbours = sorted(set(self.settings.neighbours), reverse=True)

        def fit_each(train: Sequence[TrainSection]) -> PredictEach:
            projection, bank = self._remember(train, request)

            def predict_each(section: ImageSection) -> Floats:
                return bank.averages(projection(stack_features(section, self.needs.features)), neighbours)

            return predict_each

        choice = choose(neighbours, request, sections, fit_each)
        config = {
            **describe(self.method, self.profile, self.needs.features, request, sections),
            "settings": self.settings.model_dump(mode="json"),
            "choice": choice.as_config("n_neighbours", neighbours),
        }
        projection, bank = self._remember(sections, request)
        spots = TrainingSpots.of(sections)
        return FittedKnn(self.needs.features, request.panel, projection, bank, spots, int(choice.best), config)

    def load(self, state: ModelState) -> FittedKnn:
        """Restore; any difference from what `FittedKnn.state` writes is an error."""
        panel = read_panel(state, self.method, self.profile, self.needs.features)
        d, k = state.weights["basis"].shape if "basis" in state.weights else (None, None)
        weights = read_arrays("weights", state.weights, {"feature_mean": (d,), "basis": (d, k)})
        rows = {name: array for name, array in state.bank.items() if name not in ID_ARRAYS}
        n = len(rows["embeddings"]) if "embeddings" in rows else None
        arrays = read_arrays("bank", rows, {"embeddings": (n, k), "expression": (n, len(panel))})
        spots = TrainingSpots.from_arrays(state.bank, len(arrays["embeddings"]))
        projection = Projection(weights["feature_mean"], weights["basis"])
        bank = _Bank(arrays["embeddings"], arrays["expression"])
        n_neighbours = read_choice(state, "n_neighbours")
        return FittedKnn(self.needs.features, panel, projection, bank, spots, n_neighbours, dict(state.config))

    def _remember(self, sections: Sequence[TrainSection], request: FitRequest) -> tuple[Projection, _Bank]:
        rows = stack_training(sections, self.needs.features)
        projection = fit_projection(rows, self.settings.max_pcs)
        targets = [to_target(s.counts, request.panel, request.target) for s in sections]
        return projection, _Bank(_directions(projection(rows)).astype(np.float32), np.concatenate(targets))


@dataclass(frozen=True, slots=True)
class _Bank:
    """Directions of training spots ``(n, n_components)`` and their expression ``(n, n_genes)``, float32."""

    embeddings: NDArray[np.float32]
    expression: NDArray[np.float32]

    def averages(self, components: Floats, neighbours: Sequence[int]) -> Floats:
        """Mean expression of the nearest spots, shape ``(len(neighbours), n_query, n_genes)``; ties: earlier row."""
        expression = self.expression.astype(np.float64)
        means = np.empty((len(neighbours), len(components), expression.shape[1]))
        for block, order in enumerate(self.ranked(components)):
            for row, k in enumerate(neighbours):
                means[row, block * _BLOCK :][: len(order)] = _share(order[:, :k], len(expression)) @ expression
        return means

    def ranked(self, components: Floats) -> Iterator[NDArray[np.int64]]:
        """Rows of the bank from the most similar, a block of queries at a time, ``(n_block, n)``; ties: earlier row."""
        queries, keys = _directions(components), self.embeddings.T.astype(np.float64)
        for start in range(0, len(queries), _BLOCK):
            yield np.argsort(-(queries[start : start + _BLOCK] @ keys), axis=1, kind="stable")


def _share(nearest: NDArray[np.int_], n_bank: int) -> Floats:
    """Equal weights of the chosen rows of the bank, shape ``(n_query, n_bank)``."""
    share = np.zeros((len(nearest), n_bank))
    np.put_along_axis(share, nearest, 1.0 / nearest.shape[1], axis=1)
    return share


def _directions(components: Floats) -> Floats:
    """Rows of length one; a spot at the training mean has no direction and stays zero."""
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return np.asarray(np.divide(components, norms, out=np.zeros_like(components), where=norms > 0))
