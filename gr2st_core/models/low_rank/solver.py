"""Kernel ridge on gene directions, its fitted values cut to a few of them.

Belongs here: the solution of one set of training sections under every setting asked for. Does not belong here: which
settings are tried and which win (``search``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gr2st_core.models.low_rank.loadings import Loadings
from gr2st_core.models.low_rank.targets import TrainingTargets

Floats = NDArray[np.float64]

_PENALTY_UNIT = 10.0
"""A penalty of 1 is ten times the mean eigenvalue of the weighted kernel (accuracy.md 6)."""
_LEAST_TRACE = 1e-9
"""Of a kernel of constant features, which has nothing to divide by."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting of the search.

    Sorted, settings stand from the most to the least cautious, and next to those that they share work with.

    Attributes
    ----------
    depth_exponent
        Power of a spot's relative depth in its weight.
    shared
        Share of counts-only sections in the gene covariance.
    n_loadings
        Gene directions kept of it.
    penalty
        Of the ridge, in units of ten mean eigenvalues.
    rank
        Directions kept of the fitted values.
    """

    depth_exponent: float
    shared: float
    n_loadings: int
    penalty: float
    rank: int

    def __lt__(self, other: Candidate) -> bool:
        return self._order < other._order

    @property
    def _order(self) -> tuple[float, ...]:
        return (-self.depth_exponent, self.shared, self.n_loadings, -self.penalty, self.rank)


@dataclass(frozen=True, slots=True)
class Solution:
    """Ridge under one setting, for any rank up to the number of columns.

    Attributes
    ----------
    dual
        Training spots' coefficients, ``(n_spots, n_columns)``, strongest direction first.
    genes
        What each direction means, orthonormal rows ``(n_columns, n_genes)``.
    fitted
        Fitted scores of the training spots, ``(n_spots, n_columns)``.
    """

    dual: Floats
    genes: Floats
    fitted: Floats

    def spread(self, rank: int) -> float:
        """Root mean square of the fitted values over spots and genes."""
        return float(np.sqrt((self.fitted[:, :rank] ** 2).sum() / (len(self.fitted) * self.genes.shape[1])))


def solve(
    kernel: Floats, targets: TrainingTargets, loadings: Loadings, candidates: Sequence[Candidate]
) -> Iterator[tuple[list[Candidate], Solution]]:
    """Solve every setting; those that differ in rank alone share a solution.

    Parameters
    ----------
    kernel
        Of the training spots, ``(n_spots, n_spots)``.
    candidates
        Sorted.
    """
    for exponent, same_weights in groupby(candidates, key=lambda c: c.depth_exponent):
        weights = targets.weights(exponent)
        system = _System.of(kernel, weights)
        directions = loadings.of(weights)
        for (share, n), same_genes in groupby(same_weights, key=lambda c: (c.shared, c.n_loadings)):
            basis = directions[share][:, :n]
            scores = system.rotate(targets.standard @ basis)
            for penalty, group in groupby(same_genes, key=lambda c: c.penalty):
                ranks = list(group)
                yield ranks, system.solve(scores, penalty, basis, max(c.rank for c in ranks))


@dataclass(frozen=True, slots=True)
class _System:
    """The weighted kernel ``sqrt(w) K sqrt(w)``, decomposed."""

    root: Floats
    values: Floats
    vectors: Floats

    @classmethod
    def of(cls, kernel: Floats, weights: Floats) -> _System:
        root = np.sqrt(weights)
        values, vectors = linalg.eigh(root[:, None] * kernel * root, driver="evd")
        return cls(root, np.maximum(values, 0), vectors)

    def rotate(self, scores: Floats) -> Floats:
        """Weighted scores in the basis of the kernel."""
        return np.asarray(self.vectors.T @ (self.root[:, None] * scores))

    def solve(self, rotated: Floats, penalty: float, basis: Floats, max_rank: int) -> Solution:
        ridge = _PENALTY_UNIT * penalty * max(self.values.mean(), _LEAST_TRACE)
        shrunk = rotated / (self.values + ridge)[:, None]
        fitted = self.vectors @ (self.values[:, None] * shrunk) / self.root[:, None]
        # The fitted values are cut, not the targets: what the features cannot predict has no say in the directions.
        _, turn = linalg.eigh(fitted.T @ fitted)
        turn = turn[:, ::-1][:, :max_rank]
        dual = self.root[:, None] * (self.vectors @ (shrunk @ turn))
        return Solution(dual, (basis @ turn).T, fitted @ turn)
