"""Directions in gene space along which expression varies: from training sections, and from sections without an image.

Belongs here: gene covariances and their leading eigenvectors. Does not belong here: what images predict of them
(``solver``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from gr2st_core.expression.targets import to_target
from gr2st_core.models.low_rank.targets import TrainingTargets, standardised
from gr2st_core.types import Panel, Target, TrainSection, patients_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SharedCorrelation:
    """Gene correlations of counts-only sections, summed by patient so that a patient can be left out.

    Attributes
    ----------
    sums
        By ``cohort/patient``, sum over sections, each ``(n_genes, n_genes)``.
    n_sections
        By ``cohort/patient``.
    """

    sums: Mapping[str, Floats]
    n_sections: Mapping[str, int]

    @classmethod
    def of(cls, sections: Sequence[TrainSection], panel: Panel, target: Target) -> SharedCorrelation:
        """Correlate genes over the spots of each section; a gene without spread correlates with none."""
        groups = defaultdict(list)
        for section in sections:
            groups[patients_of([section])[0]].append(section)
        sums = {
            patient: np.sum([_correlation(section, panel, target) for section in group], axis=0)
            for patient, group in groups.items()
        }
        return cls(sums, {patient: len(group) for patient, group in groups.items()})

    def mean(self, *, without: Collection[str] = ()) -> Floats | None:
        """Mean over sections of all patients but those named, ``(n_genes, n_genes)``; None if there are none."""
        kept = [patient for patient in sorted(self.sums) if patient not in without]
        if not kept:
            return None
        total = np.sum([self.sums[patient] for patient in kept], axis=0)
        return np.asarray(total / sum(self.n_sections[patient] for patient in kept))


def _correlation(section: TrainSection, panel: Panel, target: Target) -> Floats:
    rows = standardised(to_target(section.counts, panel, target).astype(np.float64))
    return np.asarray(rows.T @ rows / len(rows))


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
