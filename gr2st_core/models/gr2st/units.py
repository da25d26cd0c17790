"""Expression as the network sees it, and its way back to target units.

Belongs here: centre and spread of genes over training sections, directions along which genes vary together. Does not
belong here: the standardisation within a section (``low_rank.targets``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.keys import Target
from gr2st_core.models.low_rank.loadings import Loadings
from gr2st_core.models.low_rank.targets import TrainingTargets
from gr2st_core.types import Panel, TrainSection


@dataclass(frozen=True, slots=True)
class GeneUnits:
    """Centre and spread of each gene: averages over training sections, target units, float32 ``(n_genes,)``."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    def absolute(self, standard: NDArray[np.floating]) -> NDArray[np.float32]:
        """Standardised expression in target units, shape kept."""
        return np.asarray(self.mean + self.spread * standard, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays to store."""
        return {"mean": self.mean, "spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> GeneUnits:
        """Restore stored units."""
        return cls(arrays["mean"], arrays["spread"])


def fit_units(
    sections: Sequence[TrainSection], panel: Panel, target: Target, *, depth_exponent: float, rank: int
) -> tuple[GeneUnits, NDArray[np.float32]]:
    """Measure units, and the directions that the head starts from.

    Returns
    -------
    Units, and the leading gene directions of the training spots, float32 ``(n_genes, rank or fewer)``, each as long as
    the spots' standard deviation along it.
    """
    targets = TrainingTargets.of(sections, panel, target)
    weights = targets.weights(depth_exponent)
    axes = Loadings(targets, None, {0.0: rank}).of(weights)[0.0]
    lengths = np.sqrt((weights[:, None] * np.square(targets.standard @ axes)).mean(axis=0))
    units = GeneUnits(targets.mean.astype(np.float32), targets.spread.astype(np.float32))
    return units, np.ascontiguousarray(axes * lengths, dtype=np.float32)
