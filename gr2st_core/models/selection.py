"""Choosing one setting inside training, by mean correlation on left-out training sections.

Belongs here: the inner search that ridge and nearest neighbours share. Does not belong here: the splits themselves
(``training.folds``), any model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SplitError
from gr2st_core.evaluation.metrics import is_constant, mean_of_defined, pearson_per_gene, zero_filled
from gr2st_core.expression.targets import to_target
from gr2st_core.predictor import FitRequest
from gr2st_core.training.folds import InnerSplit, inner_splits, split_digest
from gr2st_core.types import ImageSection, TrainSection

PredictEach = Callable[[ImageSection], Iterable[NDArray[np.floating]]]
"""Predictions of one section under each candidate in turn, each ``(n_spots, n_genes)``."""

FitEach = Callable[[Sequence[TrainSection]], PredictEach]
"""Everything that is fitted is fitted here, on the inner training sections alone."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the inner search chose, and how.

    Attributes
    ----------
    best
        The candidate of the highest score; the first of equals.
    scores
        Mean inner correlation of each candidate, in the order given.
    unit
        What the inner splits left out.
    digest
        Of the spots that were searched on.
    """

    best: float
    scores: tuple[float, ...]
    unit: str
    digest: str

    def as_config(self, name: str, candidates: Sequence[float]) -> dict[str, Any]:
        """JSON of the choice, the score of every candidate included."""
        curve = [{name: c, "pearson": s} for c, s in zip(candidates, self.scores, strict=True)]
        return {name: self.best, "inner_curve": curve, "inner_unit": self.unit, "split_digest": self.digest}


def choose(candidates: Sequence[float], request: FitRequest, sections: Sequence[TrainSection], fit: FitEach) -> Choice:
    """Pick the candidate with the best mean inner correlation.

    Parameters
    ----------
    candidates
        From the most to the least cautious: the first of equals wins.
    sections
        Training sections with features.

    Raises
    ------
    SplitError
        No inner split can be made, or no correlation is defined in any.

    Notes
    -----
    Mean over genes (constant predictions count 0), then over the left-out sections of a split, then over splits.
    """
    splits = inner_splits(sections, request.split_unit)
    curves = []
    for done, split in enumerate(splits):
        request.progress("inner splits", done, len(splits))
        curves.append(_score_split(split, request, fit))
    means = [mean_of_defined(column) for column in np.transpose(curves)]
    if np.isnan(means).all():
        raise SplitError("no inner correlation is defined", unit=splits[0].unit, found=len(splits))
    best = candidates[int(np.nanargmax(means))]
    return Choice(best, tuple(means), splits[0].unit, split_digest(sections))


def _score_split(split: InnerSplit, request: FitRequest, fit: FitEach) -> list[float]:
    predict_each = fit(split.train)
    sections = []
    for section in split.validation:
        truth = to_target(section.counts, request.panel, request.target)
        sections.append([score_of(truth, guess) for guess in predict_each(section.image)])
    return [mean_of_defined(column) for column in np.transpose(sections)]


def score_of(truth: NDArray[np.float32], guess: NDArray[np.floating]) -> float:
    """Mean per-gene correlation, a constant prediction counting 0; NaN where no gene of the truth varies."""
    return mean_of_defined(zero_filled(pearson_per_gene(truth, guess), is_constant(truth)))
