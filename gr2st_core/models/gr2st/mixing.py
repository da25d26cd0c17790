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


@dataclass(frozen=True, slots=True)
class Mix:
    """Share of retrieval in a prediction, and the reference spots averaged per query spot."""

    weight: float
    top_k: int

    def of(self, regression: NDArray[np.float32], retrieval: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix two predictions in target units."""
        return self.weight * retrieval + (1 - self.weight) * regression

    def as_config(self) -> dict[str, float]:
        """JSON of the choice."""
        return {"retrieval_weight": self.weight, "top_k": self.top_k}


def mixes(settings: Gr2stSettings) -> list[Mix]:
    """All candidates; of equal ones the first wins."""
    return [Mix(weight, top_k) for weight in settings.retrieval_weights for top_k in settings.top_ks]


def best_mix(sections: Sequence[SectionMoments], settings: Gr2stSettings) -> tuple[Mix, float]:
    """Candidate with the highest mean correlation over left-out sections, and that score; NaN if none is defined.

    Parameters
    ----------
    sections
        Moments of the regression, then of the retrieval with each of ``settings.top_ks``.
    """
    candidates = mixes(settings)
    scores = [mean_of_defined([section.pearson(_weights(mix, settings)) for section in sections]) for mix in candidates]
    ranked = [-math.inf if math.isnan(score) else score for score in scores]
    best = int(np.argmax(ranked))
    return candidates[best], scores[best]


def _weights(mix: Mix, settings: Gr2stSettings) -> NDArray[np.float64]:
    weights = np.zeros(1 + len(settings.top_ks))
    weights[0], weights[1 + settings.top_ks.index(mix.top_k)] = 1 - mix.weight, mix.weight
    return weights
