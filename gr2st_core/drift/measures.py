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

from gr2st_core.drift.samples import MIN_UNITS, Units
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
    n_sections, n_units
        Training sections, and units (patients or sections) among them, that value and threshold rest on.
    is_drift
        Whether the value is above the threshold; None without one.
    """

    section: str
    value: float
    threshold: float | None
    n_sections: int
    n_units: int
    is_training: bool

    @property
    def is_drift(self) -> bool | None:
        """Whether the value is above the threshold; None without one."""
        return None if self.threshold is None else self.value > self.threshold


def from_mean(value: float, others: Sequence[float]) -> float:
    """Distance of a section's number from the mean of training sections."""
    return abs(value - float(np.mean(others)))


def as_it_is(value: float, others: Sequence[float]) -> float:  # noqa: ARG001 - a distance like the others
    """Number that is a distance from training already, as the share of spots unlike it."""
    return value


def between_predictions(value: PredictedGenes, others: Sequence[PredictedGenes]) -> float:
    """Distance between the predicted expression of a section and of the training sections.

    Returns
    -------
    Wasserstein distance (of order 2) between independent normal distributions that have the means and variances of the
    two, over the root sum of the training variances: 0 for equal ones, 1 where every gene is moved by one standard
    deviation, or where a prediction of the right mean has lost all spread.

    Raises
    ------
    PanelError
        A gene of the section was not predicted in every training section, or no gene varies there.
    """
    aligned = [other.of(value.genes) for other in others]
    mean = np.mean([other.mean for other in aligned], axis=0)
    spread = np.sqrt(np.mean([np.square(other.spread) for other in aligned], axis=0))
    scale = float(np.square(spread).sum())
    if scale == 0:
        raise PanelError("predictions of the training sections do not vary", found=len(value.genes))
    moved = np.square(value.mean - mean).sum() + np.square(value.spread - spread).sum()
    return float(np.sqrt(moved / scale))


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
    values: Mapping[str, Value], units: Units, distance: Callable[[Value, Sequence[Value]], float]
) -> list[Found]:
    """Hold every section against the training sections by one measure.

    Parameters
    ----------
    values
        What was measured, by ``cohort/section``; sections where it could not be are not there.
    units
        Training sections, and who is left out together.
    distance
        Of a value from those of training sections.

    Returns
    -------
    One entry a section, in key order. Training sections are there if anybody can be left out, each compared with those
    of other units; the others if any training section was measured.
    """
    training = {section: units.of[section] for section in sorted(values) if section in units.of}
    n_units = len(set(training.values()))
    left_out: dict[str, list[float]] = {}
    own: dict[str, float] = {}
    for section, unit in training.items() if units.left_out and n_units >= MIN_UNITS else ():
        own[section] = distance(values[section], [values[o] for o, other in training.items() if other != unit])
        left_out.setdefault(unit, []).append(own[section])
    threshold = learn_threshold(left_out)
    reference = [values[section] for section in training]
    new = {s: distance(values[s], reference) for s in sorted(values) if s not in units.of} if reference else {}
    both = sorted({**own, **new}.items())
    return [Found(s, value, threshold, len(training), n_units, s in units.of) for s, value in both]
