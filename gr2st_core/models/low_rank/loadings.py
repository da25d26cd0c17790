"""Directions in gene space along which expression varies: from training sections, and from sections without an image.

Belongs here: gene covariances and their leading eigenvectors. Does not belong here: what images predict of them
(``solver``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.models.low_rank.targets import TrainingTargets, standardised
from gr2st_core.types import Panel, TrainSection

Floats = NDArray[np.float64]


def shared_correlation(sections: Sequence[TrainSection], panel: Panel, target: Target) -> Floats | None:
    """Mean over sections of the correlation of genes over spots, ``(n_genes, n_genes)``; None without sections.

    A gene without spread correlates with none.
    """
    total = None
    for section in sections:
        rows = standardised(to_target(section.counts, panel, target).astype(np.float64))
        correlation = rows.T @ rows / len(rows)
        total = correlation if total is None else total + correlation
    return None if total is None else np.asarray(total / len(sections))


class Loadings:
    """Leading eigenvectors of mixed gene covariances, each mixture decomposed once.

    Parameters
    ----------
    targets
        Of the training sections.
    shared
        Mean correlation of counts-only sections, or None: their share is then 0 whatever is asked for.
    n_directions
        Most directions that will be asked for, by share.
    """

    def __init__(self, targets: TrainingTargets, shared: Floats | None, n_directions: Mapping[float, int]) -> None:
        self._targets, self._shared, self._n_directions = targets, shared, n_directions

    def of(self, weights: Floats) -> dict[float, Floats]:
        """By share, orthonormal columns ``(n_genes, n_directions)``, largest variance first."""
        rows = self._targets.standard
        own = rows.T @ (weights[:, None] * rows) / len(rows)
        return {share: self._leading(own, share, n) for share, n in self._n_directions.items()}

    def _leading(self, own: Floats, share: float, n_directions: int) -> Floats:
        mixed = own if self._shared is None else (1 - share) * own + share * self._shared
        last = len(mixed) - 1
        _, vectors = linalg.eigh(mixed, subset_by_index=(max(0, last - n_directions + 1), last))
        return np.asarray(vectors[:, ::-1])
