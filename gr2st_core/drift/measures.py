"""Sections as wholes against the training sections, one distance and one threshold a measure.

Belongs here: distances of colours, depth and predictions, and what drifts by them. Does not belong here: spots
(``reference``), reading tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gr2st_core.drift.samples import LeftOut, units_of
from gr2st_core.drift.thresholds import learn_threshold
from gr2st_core.errors import PanelError

Value = TypeVar("Value")
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


@dataclass(frozen=True, slots=True)
class Found:
    """One section by one measure.

    Attributes
    ----------
    value
        Distance from the training sections; of a training section, from those of other units.
    threshold
        Learnt by leaving out; None with too few units.
    observed, expected
        What was measured, and its mean over those training sections; None where it is no single number.
    n_sections, n_units
        Training sections, and units (patients or sections) among them, that value and threshold rest on.
    left_out
        What a unit is; None where nobody could be left out.
    """

    section: str
    value: float
    threshold: float | None
    observed: float | None
    expected: float | None
    is_training: bool
    n_sections: int
    n_units: int
    left_out: LeftOut | None

    @property
    def is_drift(self) -> bool | None:
        """Whether the value is above the threshold; None without one."""
        return None if self.threshold is None else self.value > self.threshold


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


def compare(
    values: Mapping[str, Value], patients: Mapping[str, str], distance: Callable[[Value, Sequence[Value]], float]
) -> list[Found]:
    """Hold every section against the training sections by one measure.

    Parameters
    ----------
    values
        What was measured, by ``cohort/section``; sections where it could not be are not there.
    patients
        Donor of every training section.
    distance
        Of a value from those of training sections.

    Returns
    -------
    One entry a section, in key order. Training sections are there if anybody can be left out, each compared with those
    of other units; the others if any training section was measured.
    """
    training = sorted(section for section in values if section in patients)
    units = units_of({section: patients[section] for section in training})
    others = {section: training for section in values if training and section not in patients}
    if units.left_out is not None:
        others.update({s: [o for o in training if units.of[o] != units.of[s]] for s in training})
    distances = {s: distance(values[s], [values[o] for o in others[s]]) for s in sorted(others)}
    left_out: dict[str, list[float]] = {}
    for section in training if units.left_out is not None else ():
        left_out.setdefault(units.of[section], []).append(distances[section])
    threshold, n_units = learn_threshold(left_out), len(set(units.of.values()))
    return [
        Found(
            section, value, threshold, _number(values[section]), _mean([values[o] for o in others[section]]),
            section in patients, len(training), n_units, units.left_out,
        )
        for section, value in distances.items()
    ]  # fmt: skip


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _mean(values: Sequence[object]) -> float | None:
    numbers = [value for value in values if isinstance(value, float)]
    return float(np.mean(numbers)) if numbers else None
