"""Scores on truth of equal depth: what is left when "how much RNA is here" is taken away.

Belongs here: averaging scores over random thinnings. Does not belong here: the thinning (``expression.depth``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.metrics import column_means_of_defined, is_constant, pearson_per_gene, zero_filled
from gr2st_core.expression.depth import equal_depth
from gr2st_core.expression.targets import to_target
from gr2st_core.types import Counts, FloatArray, Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EqualDepthScores:
    """Correlations with equal-depth truth, averaged over thinnings.

    Attributes
    ----------
    pearson
        Shape ``(n_genes,)``; a thinning in which a gene is undefined is left out of its mean, NaN if all are.
    pearson_zero_filled
        The same with 0 where only the prediction is constant.
    n_spots
        Spots deep enough to be thinned; the rest of the section is not scored.
    """

    pearson: Floats
    pearson_zero_filled: Floats
    n_spots: int


def score_equal_depth(
    panel_counts: NDArray[np.integer], predicted: FloatArray, panel: Panel, *, n_thinnings: int, seed: int = 0
) -> EqualDepthScores:
    """Correlate a prediction with ``per_spot`` expression of spots thinned to one common depth.

    Parameters
    ----------
    panel_counts, predicted
        Raw counts and predictions of one section, in any target, shape ``(n_spots, n_genes)``, rows and columns alike.
    n_thinnings
        Random thinnings, without replacement.

    Raises
    ------
    AlignmentError
        The two shapes differ.
    """
    if panel_counts.shape != predicted.shape:
        raise AlignmentError("one prediction per count", expected=panel_counts.shape, found=predicted.shape)
    rng = np.random.default_rng(seed)
    pearson, filled = [], []
    for _ in range(n_thinnings):
        thinned, kept = equal_depth(panel_counts, rng)
        both = _correlate(thinned, predicted[kept], panel)
        pearson.append(both[0])
        filled.append(both[1])
    means = column_means_of_defined(pearson), column_means_of_defined(filled)
    return EqualDepthScores(*means, n_spots=int(kept.sum()))


def _correlate(thinned: NDArray[np.integer], predicted: FloatArray, panel: Panel) -> tuple[Floats, Floats]:
    if len(thinned) == 0:  # a section without a molecule of the panel
        undefined = np.full(len(panel), np.nan)
        return undefined, undefined
    truth = to_target(Counts(sparse.csr_matrix(thinned), panel.genes), panel, "per_spot")
    correlation = pearson_per_gene(truth, predicted)
    return correlation, zero_filled(correlation, is_constant(truth))
