"""What a blend is made of: other methods, and the parts of their predictions that are weighed apart.

Belongs here: components, their training inside an inner split and on all sections. Does not belong here: weights
(``mixture``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gr2st_core.keys import SectionKey
from gr2st_core.predictor import FitRequest, Fitted, Predictor
from gr2st_core.training.folds import InnerSplit
from gr2st_core.types import ImageSection, Prediction, TrainSection, patients_of

WHOLE = "values"
"""The part of a method that predicts in one piece."""

_HELD_SPOTS = SectionKey("inner", "held-spots")


@runtime_checkable
class TrainsInside(Protocol):
    """A method whose own choice already trains on an inner split: the blend asks it for that very model."""

    def fit_inner(self, request: FitRequest, split: InnerSplit) -> Fitted:
        """Train on ``split.train``; ``request`` is that of the whole job, and its folder is shared."""
        ...


@dataclass(frozen=True, slots=True)
class Component:
    """One method in a blend.

    Attributes
    ----------
    name
        ``<method>_<profile>``, a name of the registry.
    predictor
        The unfitted method.
    parts
        Components of its prediction that are weighed one by one, or ``values``.
    """

    name: str
    predictor: Predictor
    parts: tuple[str, ...] = (WHOLE,)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its parts within the blend."""
        return tuple(self.name if part == WHOLE else f"{self.name}/{part}" for part in self.parts)

    def arrays(self, prediction: Prediction) -> list[NDArray[np.float32]]:
        """Its parts in target units, each ``(n_spots, n_genes)``."""
        return [prediction.values if part == WHOLE else prediction.components[part] for part in self.parts]

    def fit(self, request: FitRequest) -> Fitted:
        """Train on all sections, in the folder of the method's own job if the caller names it."""
        return self.predictor.fit(self._job(request))

    def fit_inner(self, request: FitRequest, split: InnerSplit) -> Fitted:
        """Train on the training side of an inner split; every choice within is made from that side alone."""
        if isinstance(self.predictor, TrainsInside):
            return self.predictor.fit_inner(self._job(request), split)
        return self.predictor.fit(replace(self._job(request), sections=split.train, workdir=None))

    def _job(self, request: FitRequest) -> FitRequest:
        nested = request.workdir / self.name if request.workdir is not None else None
        extra = request.counts_only if self.predictor.needs.counts_only else ()
        folder: Path | None = request.workdirs.get(self.name, nested)
        return replace(request, workdir=folder, workdirs={}, counts_only=extra)


def labels_of(components: Iterable[Component]) -> tuple[str, ...]:
    """Names of all parts, in order."""
    return tuple(label for component in components for label in component.labels)


def predict_all(fitted: Mapping[str, Fitted], section: ImageSection) -> dict[str, Prediction]:
    """Predict a section with every component, by component name."""
    return {name: model.predict(section) for name, model in fitted.items()}


def strangers(extra: Sequence[TrainSection], sections: Sequence[TrainSection]) -> list[TrainSection]:
    """Counts-only sections of patients without a training section.

    An inner split may hold out any training patient, and must then be as far from that patient's counts as the outer
    fold is from its own.
    """
    known = set(patients_of(sections))
    return [section for section in extra if not known & set(patients_of([section]))]


def as_queries(split: InnerSplit) -> list[ImageSection]:
    """The validation side as held-out sections.

    The held spots of a quadrant split bear the key of the section that trains, which methods with a bank refuse; they
    are other spots, so they get a key of their own.
    """
    images = [section.image for section in split.validation]
    return [replace(image, key=_HELD_SPOTS) for image in images] if split.unit == "quadrant" else images
