"""Which settings are averaged: tried on inner splits, the best few taken.

Belongs here: the grid, the inner search, its account. Does not belong here: the score and the splits
(``models.selection``, ``training.folds``), the solver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.models.low_rank.solver import Candidate
from gr2st_core.models.low_rank.training import Training
from gr2st_core.models.selection import Choice, PredictEach, choose
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import LowRankSettings
from gr2st_core.types import ImageSection, TrainSection

Prepare = Callable[[Sequence[TrainSection]], Training]
"""Scale features and targets of inner training sections, which is fitted on them alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the inner search found.

    Attributes
    ----------
    best
        Settings of the highest scores, best first; of equals the more cautious.
    candidates
        All that were tried.
    choice
        Their scores and how they came about.
    """

    best: tuple[Candidate, ...]
    candidates: tuple[Candidate, ...]
    choice: Choice

    def as_config(self) -> dict[str, Any]:
        """JSON of the settings taken, the score of every candidate included; an undefined one is null."""
        scores = [None if math.isnan(score) else score for score in self.choice.scores]
        curve = [{**asdict(c), "pearson": score} for c, score in zip(self.candidates, scores, strict=True)]
        return {
            "averaged": [asdict(candidate) for candidate in self.best],
            "inner_curve": curve,
            "inner_unit": self.choice.unit,
            "split_digest": self.choice.digest,
        }


def grid(settings: LowRankSettings, *, counts_only: bool) -> list[Candidate]:
    """All settings to try, sorted; those that mix counts-only sections in only where there are any."""
    loadings = [(0.0, n) for n in settings.n_loadings]
    if counts_only:
        loadings += [pair for pair in settings.shared_loadings if pair[0] > 0]
    axes = product(settings.depth_exponents, loadings, settings.penalties, settings.ranks)
    return sorted({Candidate(exponent, share, n, penalty, rank) for exponent, (share, n), penalty, rank in axes})


def search(
    candidates: Sequence[Candidate],
    request: FitRequest,
    sections: Sequence[TrainSection],
    prepare: Prepare,
    n_best: int,
) -> Found:
    """Score every candidate on the inner splits and take the best ``n_best``, fewer if fewer have a score.

    Raises
    ------
    SplitError
        No inner split can be made, or no correlation is defined in any.
    """

    def fit_each(train: Sequence[TrainSection]) -> PredictEach:
        training = prepare(train)
        solutions = training.solutions(candidates)

        def predict_each(section: ImageSection) -> Iterator[NDArray[np.float64]]:
            return training.predict_each(solutions, section)

        return predict_each

    choice = choose(range(len(candidates)), request, sections, fit_each)
    scored = [index for index, score in enumerate(choice.scores) if not math.isnan(score)]
    order = sorted(scored, key=lambda index: (-choice.scores[index], index))
    return Found(tuple(candidates[index] for index in order[:n_best]), tuple(candidates), choice)
