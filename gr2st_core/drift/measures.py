"""Sections as wholes against the training sections, one distance and one threshold a measure.

Belongs here: who is compared with whom, and what drifts. Does not belong here: distances themselves (``distances``),
spots (``reference``), reading tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gr2st_core.drift.samples import LeftOut, units_of
from gr2st_core.drift.thresholds import learn_threshold

Value = TypeVar("Value")


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
