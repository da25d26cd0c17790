"""Scores on truth of equal depth: what is left when "how much RNA is here" is taken away.

Belongs here: averaging scores over random thinnings. Does not belong here: the thinning (``expression.depth``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.metrics import column_means_of_defined, is_constant, pearson_per_gene, zero_filled
from gr2st_core.expression.depth import equal_depth
from gr2st_core.expression.targets import to_target
from gr2st_core.types import BoolArray, Counts, FloatArray, Panel

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


@dataclass(frozen=True, slots=True)
class EqualDepthTruth:
    """``per_spot`` expression of one section whose spots were thinned to one common depth, several times.

    Attributes
    ----------
    thinned
        Expression of the kept spots under each thinning, ``(n_kept, n_genes)``.
    kept
        Spots deep enough, ``(n_spots,)``; the same under every thinning.
    """

    thinned: Sequence[NDArray[np.float32]]
    kept: BoolArray

    @classmethod
    def draw(
        cls, panel_counts: NDArray[np.integer], panel: Panel, *, n_thinnings: int, seed: int = 0
    ) -> EqualDepthTruth:
        """Thin raw counts, shape ``(n_spots, n_genes)``, at random and without replacement."""
        rng = np.random.default_rng(seed)
        draws = [equal_depth(panel_counts, rng) for _ in range(n_thinnings)]
        return cls([_expression(counts, panel) for counts, _ in draws], draws[0][1])

    def score(self, predicted: FloatArray) -> EqualDepthScores:
        """Correlate a prediction, in any target, shape ``(n_spots, n_genes)``, with every thinning.

        Raises
        ------
        AlignmentError
            Another number of spots or genes.
        """
        expected = (len(self.kept), self.thinned[0].shape[1])
        if predicted.shape != expected:
            raise AlignmentError("one prediction per count", expected=expected, found=predicted.shape)
        both = [_correlate(truth, predicted[self.kept]) for truth in self.thinned]
        pearson, filled = (column_means_of_defined(list(column)) for column in zip(*both, strict=True))
        return EqualDepthScores(pearson, filled, n_spots=int(self.kept.sum()))


def _expression(counts: NDArray[np.integer], panel: Panel) -> NDArray[np.float32]:
    return to_target(Counts(sparse.csr_matrix(counts), panel.genes), panel, "per_spot")


def _correlate(truth: NDArray[np.float32], predicted: FloatArray) -> tuple[Floats, Floats]:
    if len(truth) == 0:  # a section without a molecule of the panel
        undefined = np.full(truth.shape[1], np.nan)
        return undefined, undefined
    correlation = pearson_per_gene(truth, predicted)
    return correlation, zero_filled(correlation, is_constant(truth))
