"""Distances of a section from training sections, one a measure.

Belongs here: what is far by stain, depth and predictions. Does not belong here: what is too far (``measures``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import PanelError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PredictedGenes:
    """Predicted expression of one section, gene by gene.

    Attributes
    ----------
    genes
        Symbols.
    mean, spread
        Mean and standard deviation over spots, target units, shape ``(n_genes,)``.
    """

    genes: tuple[str, ...]
    mean: Floats
    spread: Floats

    def of(self, genes: Sequence[str]) -> PredictedGenes:
        """The named genes in their order.

        Raises
        ------
        PanelError
        """
        if tuple(genes) == self.genes:
            return self
        place = {gene: index for index, gene in enumerate(self.genes)}
        if missing := [gene for gene in genes if gene not in place]:
            raise PanelError("genes were not predicted", found=missing[:10])
        index = [place[gene] for gene in genes]
        return PredictedGenes(tuple(genes), self.mean[index], self.spread[index])


def on_common_genes(predicted: Mapping[str, PredictedGenes]) -> dict[str, PredictedGenes]:
    """Keep of all sections the genes that were predicted in each, sorted: folds may have panels of their own.

    Raises
    ------
    PanelError
        They have none in common.
    """
    genes = sorted(set.intersection(*(set(each.genes) for each in predicted.values()))) if predicted else []
    if predicted and not genes:
        raise PanelError("no gene was predicted in every section", found=len(predicted))
    return {section: each.of(genes) for section, each in predicted.items()}


def from_mean(value: float, others: Sequence[float]) -> float:
    """Distance of a section's number from the mean of training sections."""
    return abs(value - float(np.mean(others)))


def as_it_is(value: float, others: Sequence[float]) -> float:  # noqa: ARG001 - a distance like the others
    """Number that is a distance from training already, as the share of spots unlike it."""
    return value


def between_predictions(value: PredictedGenes, others: Sequence[PredictedGenes]) -> float:
    """Distance between the predicted expression of a section and of the training sections, in target units.

    Returns
    -------
    Wasserstein distance (of order 2) between normal distributions that have the means and variances of the two, root
    mean square over genes: 0 for equal ones, d where every mean is moved by d or every spread of d is lost. It is not
    divided by the training spread, which a cautious method may have shrunk to almost nothing.

    Raises
    ------
    PanelError
        A gene of the section was not predicted in every training section.
    """
    aligned = [other.of(value.genes) for other in others]
    mean = np.mean([other.mean for other in aligned], axis=0)
    spread = np.sqrt(np.mean([np.square(other.spread) for other in aligned], axis=0))
    return float(np.sqrt(np.mean(np.square(value.mean - mean) + np.square(value.spread - spread))))


DISTANCES: Mapping[str, Callable[[Any, Sequence[Any]], float]] = MappingProxyType(
    {
        "image": as_it_is,
        "stain_haematoxylin": from_mean,
        "stain_eosin": from_mean,
        "depth": from_mean,
        "predictions": between_predictions,
    }
)
"""Distance of each measure: the share of spots unlike training, median optical density of both stains, median log10 of
the molecules of a spot, predicted expression."""
