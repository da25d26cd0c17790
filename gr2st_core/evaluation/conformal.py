"""Prediction intervals, calibrated on patients that the model never saw.

Belongs here: from out-of-fold errors to half widths, whom they speak of, and what they cover in fact. Does not belong
here: where predictions and measurements come from.

An absolute error is divided by its typical size, a straight line in the prediction fitted for each gene, since genes
vary more where they are high. The interval is the prediction plus and minus that line times a quantile of the scaled
errors (``error_quantile``). Two things go beyond its theory: the line is fitted on the same errors, and these are of
fold models, trained on fewer patients than the model that is served. So coverage is measured too, on patients left out
of the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.error_quantile import error_quantile, rank_of_patients
from gr2st_core.settings import IntervalSettings
from gr2st_core.types import FloatArray

Floats = NDArray[np.float64]
Support = Literal["patient", "spot-level, same patients", "none"]

_MOST_GROUPS = 20
"""Calibrating again is the price of leaving out; of more patients than this several are left out at once."""
_LEAST_SHARE = 0.25
"""Of a gene's mean absolute error, below which its typical error never falls."""
_GENES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class PatientErrors:
    """Out-of-fold predictions of one patient beside the measurements.

    Attributes
    ----------
    genes
        Columns; patients may have been predicted for panels of their own.
    predicted, observed
        Target units, shape ``(n_spots, n_genes)``.
    """

    genes: tuple[str, ...]
    predicted: FloatArray
    observed: FloatArray

    def __post_init__(self) -> None:
        if self.predicted.shape != self.observed.shape or self.predicted.shape[1:] != (len(self.genes),):
            raise AlignmentError(
                "one column a gene, equal rows", expected=self.predicted.shape, found=self.observed.shape
            )

    def thinned(self, n_spots: int, seed: int) -> PatientErrors:
        """At most so many spots, drawn without replacement."""
        n = len(self.predicted)
        if n <= n_spots:
            return self
        kept = np.sort(np.random.default_rng(seed).choice(n, n_spots, replace=False))
        return PatientErrors(self.genes, self.predicted[kept], self.observed[kept])


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Half widths of intervals; arrays have one element a gene.

    Attributes
    ----------
    quantile
        Of the scaled errors; NaN for a gene without calibration.
    intercept, slope, floor
        Typical absolute error: the line in the prediction, and its smallest value.
    """

    quantile: Floats
    intercept: Floats
    slope: Floats
    floor: Floats

    def scale(self, predicted: FloatArray) -> Floats:
        """Typical absolute error of each prediction, shape ``(n_spots, n_genes)``."""
        return np.maximum(self.floor, self.intercept + self.slope * np.asarray(predicted, dtype=np.float64))

    def half_width(self, predicted: FloatArray) -> Floats:
        """Half width of the interval around each prediction, shape ``(n_spots, n_genes)``; NaN without calibration."""
        return self.quantile * self.scale(predicted)

    def ends(self, predicted: FloatArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper ends; expression is never below 0, so neither is an interval, unless the prediction is."""
        half = self.half_width(predicted)
        lower = np.minimum(np.maximum(predicted - half, 0), predicted)
        return lower.astype(np.float32), (predicted + half).astype(np.float32)

    def covers(self, errors: PatientErrors) -> Floats:
        """Share of spots within the interval, ``(n_genes,)``."""
        inside = np.abs(errors.observed - errors.predicted) <= self.half_width(errors.predicted)
        return np.asarray(inside.mean(axis=0))


@dataclass(frozen=True, slots=True)
class Intervals:
    """What intervals of a model's predictions are made of; arrays have one element a gene.

    Attributes
    ----------
    support
        Whom the interval of each gene speaks of.
    n_patients, n_spots
        That its calibration rests on.
    coverage
        Share of each patient's spots that intervals of the other patients cover, shape ``(n_patients, n_genes)``; NaN
        where a patient was not predicted for the gene, or nobody else was.
    patients
        Rows of ``coverage``.
    """

    genes: tuple[str, ...]
    level: float
    rule: ErrorRule
    support: tuple[Support, ...]
    n_patients: NDArray[np.int64]
    n_spots: NDArray[np.int64]
    coverage: Floats
    patients: tuple[str, ...]


def calibrate(patients: Mapping[str, PatientErrors], genes: Sequence[str], settings: IntervalSettings) -> Intervals:
    """Calibrate the intervals of a model.

    Parameters
    ----------
    patients
        Out-of-fold errors by patient; those without spots are ignored.
    genes
        That the model predicts; of a gene that no patient was predicted for, nothing is known.
    """
    kept = {name: errors for name, errors in sorted(patients.items()) if len(errors.predicted)}
    quota = max(1, settings.n_spots // max(1, len(kept)))
    kept = {name: errors.thinned(quota, settings.draw_seed) for name, errors in kept.items()}
    names, n_genes = tuple(kept), len(genes)
    numbers = {name: np.full(n_genes, np.nan) for name in ("quantile", "intercept", "slope", "floor")}
    coverage, counted = np.full((len(names), n_genes), np.nan), np.zeros((2, n_genes), dtype=np.int64)
    support: list[Support] = ["none"] * n_genes
    for members, columns in _by_patients(kept, genes):
        chosen = [_of(kept[name], [genes[column] for column in columns]) for name in members]
        rule = _fit(chosen, settings.level)
        for name, values in numbers.items():
            values[columns] = getattr(rule, name)
        rows = [names.index(name) for name in members]
        coverage[np.ix_(rows, columns)] = _left_out(chosen, settings.level)
        counted[:, columns] = [[len(members)], [sum(len(errors.predicted) for errors in chosen)]]
        is_enough = rank_of_patients(len(members), settings.level) <= len(members)
        for column in columns:
            support[column] = "patient" if is_enough else "spot-level, same patients"
    return Intervals(
        tuple(genes),
        settings.level,
        ErrorRule(**numbers),
        support=tuple(support),
        n_patients=counted[0],
        n_spots=counted[1],
        coverage=coverage,
        patients=names,
    )


def _by_patients(
    patients: Mapping[str, PatientErrors], genes: Sequence[str]
) -> list[tuple[tuple[str, ...], list[int]]]:
    """Columns of the genes that the same patients were predicted for, some at a time."""
    known = {name: set(errors.genes) for name, errors in patients.items()}
    groups: dict[tuple[str, ...], list[int]] = {}
    for column, gene in enumerate(genes):
        if members := tuple(name for name in patients if gene in known[name]):
            groups.setdefault(members, []).append(column)
    return [
        (members, columns[start : start + _GENES_AT_ONCE])
        for members, columns in groups.items()
        for start in range(0, len(columns), _GENES_AT_ONCE)
    ]


def _of(errors: PatientErrors, genes: Sequence[str]) -> PatientErrors:
    place = {gene: column for column, gene in enumerate(errors.genes)}
    columns = [place[gene] for gene in genes]
    predicted, observed = (array[:, columns].astype(np.float64) for array in (errors.predicted, errors.observed))
    return PatientErrors(tuple(genes), predicted, observed)


def _fit(patients: Sequence[PatientErrors], level: float) -> ErrorRule:
    """Line by weighted least squares, then the quantile; every patient weighs alike."""
    predicted = np.concatenate([errors.predicted for errors in patients])
    size = np.abs(np.concatenate([errors.observed for errors in patients]) - predicted)
    weights = np.concatenate([np.full(len(e.predicted), 1 / len(e.predicted) / len(patients)) for e in patients])
    centre, mean = weights @ predicted, weights @ size
    apart = predicted - centre
    spread = weights @ np.square(apart)
    # an error that falls where the prediction rises is an accident of few spots
    slope = np.maximum(np.divide(weights @ (apart * size), spread, out=np.zeros_like(mean), where=spread > 0), 0)
    floor = np.where(mean > 0, _LEAST_SHARE * mean, 1.0)
    rule = ErrorRule(np.ones_like(mean), mean - slope * centre, slope, floor)
    ends = np.cumsum([len(errors.predicted) for errors in patients])[:-1]
    return replace(rule, quantile=error_quantile(np.split(size / rule.scale(predicted), ends), level))


def _left_out(patients: Sequence[PatientErrors], level: float) -> Floats:
    """What intervals of the other patients cover of each patient, ``(n_patients, n_genes)``; NaN without others."""
    found = np.full((len(patients), len(patients[0].genes)), np.nan)
    n_groups = min(len(patients), _MOST_GROUPS)
    for group in range(n_groups if len(patients) > 1 else 0):
        rule = _fit([errors for place, errors in enumerate(patients) if place % n_groups != group], level)
        for place in range(group, len(patients), n_groups):
            found[place] = rule.covers(patients[place])
    return found
