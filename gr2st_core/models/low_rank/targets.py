"""Expression as the solver sees it: within section, every gene on one scale, spots weighed.

Belongs here: standardised targets, their way back to target units, spot weights. Does not belong here: the
normalisation of counts (``expression.targets``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.types import Panel, TrainSection

Floats = NDArray[np.float64]

_FLOOR = 1e-3
"""Added to a gene's spread, in target units: a gene seen in a spot or two must not weigh like one seen everywhere."""


@dataclass(frozen=True, slots=True)
class TrainingTargets:
    """What the training sections express.

    Attributes
    ----------
    standard
        Deviations from the section mean over its spread, ``(n_spots, n_genes)``, sections one below the other.
    mean, spread
        Averages over sections of each gene's mean and standard deviation, target units, ``(n_genes,)``.
    depth
        Panel counts plus one over the section's median, at most 1, ``(n_spots,)``.
    section_sizes
        Spots of each section.
    """

    standard: Floats
    mean: Floats
    spread: Floats
    depth: Floats
    section_sizes: tuple[int, ...]

    @classmethod
    def of(cls, sections: Sequence[TrainSection], panel: Panel, target: Target) -> TrainingTargets:
        """Compute the targets of sections in the order given."""
        values = [to_target(s.counts, panel, target).astype(np.float64) for s in sections]
        return cls(
            np.concatenate([standardised(rows) for rows in values]),
            np.mean([rows.mean(axis=0) for rows in values], axis=0),
            np.mean([rows.std(axis=0) for rows in values], axis=0),
            np.concatenate([_relative_depth(s.counts.of(panel).sum(axis=1)) for s in sections]),
            tuple(len(rows) for rows in values),
        )

    def weights(self, exponent: float) -> Floats:
        """Weight of every spot, mean 1: sections weigh the same, and within them shallow spots less."""
        share = np.concatenate([np.full(size, 1 / size) for size in self.section_sizes])
        weights = share * self.depth**exponent
        return np.asarray(weights / weights.mean())


def standardised(values: Floats) -> Floats:
    """Deviations from each gene's mean over its spread, shape kept."""
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + _FLOOR))


def _relative_depth(totals: NDArray[np.int64]) -> Floats:
    # Without counts in half of the spots the median is 0; any spot with counts is deep there.
    return np.minimum(1.0, (totals + 1) / max(float(np.median(totals)), 1.0))
