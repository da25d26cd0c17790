"""How much of a prediction is retrieval, and from how many neighbours: chosen inside training.

Belongs here: the candidates, the choice among them on left-out sections. Does not belong here: which epoch is judged
(``gr2st_core.training``), the score of a mixture (``models.blend.mixture``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.evaluation.metrics import mean_of_defined
from gr2st_core.models.blend.mixture import SectionMoments
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.loop import SCORE, Run


@dataclass(frozen=True, slots=True)
class Mix:
    """Share of retrieval in a prediction, and the reference spots averaged per query spot."""

    weight: float
    top_k: int

    def of(self, regression: NDArray[np.float32], retrieval: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix two predictions in target units."""
        return self.weight * retrieval + (1 - self.weight) * regression

    @property
    def term(self) -> str:
        """Name of its inner score in the history."""
        return f"{SCORE}/weight={self.weight:g}/k={self.top_k}"

    def as_config(self) -> dict[str, float]:
        """JSON of the choice."""
        return {"retrieval_weight": self.weight, "top_k": self.top_k}


def mixes(settings: Gr2stSettings) -> list[Mix]:
    """All candidates; of equal ones the first wins."""
    return [Mix(weight, top_k) for weight in settings.retrieval_weights for top_k in settings.top_ks]


def scores_of(sections: Sequence[SectionMoments], settings: Gr2stSettings) -> dict[str, float]:
    """Mean correlation of every candidate over left-out sections by its term; NaN where none is defined.

    Parameters
    ----------
    sections
        Moments of the regression, then of the retrieval with each of ``settings.top_ks``.
    """
    return {
        mix.term: mean_of_defined([section.pearson(_weights(mix, settings)) for section in sections])
        for mix in mixes(settings)
    }


@dataclass(frozen=True, slots=True)
class Chosen:
    """Epoch and mixture that are best together.

    Attributes
    ----------
    epoch, mix
        The first of equals; the last epoch and the first candidate where no score was defined.
    curve, curve_mix
        By epoch: the best mean score over splits, and the mixture that reached it.
    """

    epoch: int
    mix: Mix
    curve: tuple[float, ...]
    curve_mix: tuple[Mix, ...]


def choose(runs: Sequence[Run], settings: Gr2stSettings) -> Chosen:
    """Choose on the mean over inner runs of equal length."""
    candidates = mixes(settings)
    scores = np.array([[run.values(mix.term) for mix in candidates] for run in runs])
    means = np.array([[mean_of_defined(of_epoch) for of_epoch in of_mix.T] for of_mix in scores.swapaxes(0, 1)])
    ranked = np.where(np.isnan(means), -math.inf, means)
    best, curve = ranked.argmax(axis=0), ranked.max(axis=0)
    epoch = int(curve.argmax()) + 1 if np.isfinite(curve).any() else len(curve)
    by_epoch = tuple(candidates[index] for index in best)
    return Chosen(epoch, by_epoch[epoch - 1], tuple(curve.tolist()), by_epoch)


def _weights(mix: Mix, settings: Gr2stSettings) -> NDArray[np.float64]:
    weights = np.zeros(1 + len(settings.top_ks))
    weights[0], weights[1 + settings.top_ks.index(mix.top_k)] = 1 - mix.weight, mix.weight
    return weights
