"""Weights of a mixture, chosen by mean correlation on left-out training sections.

Belongs here: the score of many mixtures at once, the grid of weights, the choice and its account. Does not belong here:
where predictions come from (``parts``).

Parts enter at unit spread: over all spots and genes of the left-out sections, each centred gene by gene within its
section, a part's standard deviation is 1. A weight is thus a share of the pattern, whatever a method's amplitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SplitError
from gr2st_core.evaluation.metrics import is_constant, mean_of_defined

Floats = NDArray[np.float64]

_FLAT = 1e-6
"""A mixture of unit-spread parts that varies less than this in a gene is constant there."""

LEAST_SLOPE = 1e-3
"""Target units. Where no mixture predicts anything, a faint pattern is kept: values stay near the training mean."""


@dataclass(frozen=True, slots=True)
class SectionMoments:
    """All that the score of any mixture needs of one left-out section.

    Attributes
    ----------
    gram
        Products of parts over spots, ``(n_parts, n_parts, n_genes)``.
    cross
        Products of parts and truth, ``(n_parts, n_genes)``.
    truth
        Squares of the truth, ``(n_genes,)``; NaN where the truth is constant.
    n_spots
        Spots of the section.
    """

    gram: Floats
    cross: Floats
    truth: Floats
    n_spots: int

    @classmethod
    def of(cls, truth: NDArray[np.floating], parts: Sequence[NDArray[np.floating]]) -> SectionMoments:
        """Measure a section, all arrays ``(n_spots, n_genes)`` in target units."""
        guesses, y = np.stack([_centred(part) for part in parts]), _centred(truth)
        squares = np.where(is_constant(truth), np.nan, np.square(y).sum(axis=0))
        gram = np.einsum("psg,qsg->pqg", guesses, guesses)
        return cls(gram, np.einsum("psg,sg->pg", guesses, y), squares, len(y))

    def scaled(self, factors: Floats) -> SectionMoments:
        """Moments of the parts times ``factors``, shape ``(n_parts,)``."""
        gram = self.gram * np.multiply.outer(factors, factors)[:, :, None]
        return SectionMoments(gram, self.cross * factors[:, None], self.truth, self.n_spots)

    def pearson(self, weights: Floats) -> float:
        """Mean per-gene correlation of a mixture; a constant gene counts 0, one without truth does not count."""
        squares = np.einsum("p,q,pqg->g", weights, weights, self.gram)
        varies = squares > _FLAT**2 * self.n_spots
        norms = np.sqrt(np.where(varies, squares, 1.0) * self.truth)
        return mean_of_defined(np.where(np.isnan(self.truth) | varies, weights @ self.cross / norms, 0.0))


@dataclass(frozen=True, slots=True)
class Mixture:
    """Chosen weights and how they came about.

    Attributes
    ----------
    weights
        At least 0, sum 1, in the order of the parts.
    spreads
        Standard deviation of each part that was set to 1, target units.
    slope
        Target units per unit of the mixture.
    candidates, scores
        Every mixture that was tried, from the most cautious, and its mean inner correlation.
    """

    weights: tuple[float, ...]
    spreads: tuple[float, ...]
    slope: float
    candidates: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]

    @property
    def coefficients(self) -> tuple[float, ...]:
        """Factor of each part's deviation from the training mean."""
        pairs = zip(self.weights, self.spreads, strict=True)
        return tuple(self.slope * weight / spread if weight > 0 and spread > 0 else 0.0 for weight, spread in pairs)


def grid(n_parts: int, steps: int) -> list[tuple[float, ...]]:
    """All weights in multiples of ``1 / steps``: fewer parts first, then more weight for earlier parts."""
    shares = [ticks for ticks in product(range(steps + 1), repeat=n_parts) if sum(ticks) == steps]
    shares.sort(key=lambda ticks: (sum(tick > 0 for tick in ticks), [-tick for tick in ticks]))
    return [tuple(tick / steps for tick in ticks) for ticks in shares]


def choose_mixture(sections: Sequence[SectionMoments], *, steps: int, margin: float) -> Mixture:
    """Pick the mixture with the best mean correlation over left-out sections, less ``margin`` for every further part.

    No part of the winner could go at the price of ``margin`` or less; of equals the more cautious wins.

    Raises
    ------
    SplitError
        No correlation is defined.
    """
    spreads = _spreads(sections)
    factors = np.divide(1.0, spreads, out=np.zeros_like(spreads), where=spreads > 0)
    scaled = [section.scaled(factors) for section in sections]
    candidates = grid(len(spreads), steps)
    scores = [mean_of_defined([section.pearson(np.array(weights)) for section in scaled]) for weights in candidates]
    if np.isnan(scores).all():
        raise SplitError("no inner correlation is defined", found=len(sections))
    prices = [margin * (sum(weight > 0 for weight in weights) - 1) for weights in candidates]
    worth = np.round(np.subtract(scores, prices), 9)  # equal mixtures of equal parts differ by rounding
    best = candidates[int(np.nanargmax(worth))]
    slope = _slope(scaled, np.array(best))
    return Mixture(best, tuple(spreads.tolist()), slope, tuple(candidates), tuple(scores))


def _spreads(sections: Sequence[SectionMoments]) -> Floats:
    squares = np.sum([np.einsum("ppg->p", section.gram) for section in sections], axis=0)
    return np.asarray(np.sqrt(squares / sum(section.n_spots * section.cross.shape[1] for section in sections)))


def _slope(sections: Sequence[SectionMoments], weights: Floats) -> float:
    """Least squares of truth on mixture, both centred within sections: offsets between slides are no pattern."""
    squares = sum(float(np.einsum("p,q,pqg->", weights, weights, section.gram)) for section in sections)
    products = sum(float((weights @ section.cross).sum()) for section in sections)
    return max(products / squares, LEAST_SLOPE) if squares > 0 else LEAST_SLOPE


def _centred(values: NDArray[np.floating]) -> Floats:
    """Deviations from each gene's mean; what float32 rounding alone may have caused is 0."""
    rows = np.asarray(values, dtype=np.float64)
    return np.where(is_constant(values), 0.0, rows - rows.mean(axis=0))
