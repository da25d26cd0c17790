"""Training spots that a reference is fitted on: a bounded, seeded draw from every section.

Belongs here: the draw, and who is left out together. Does not belong here: distances (``banks``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.resampling import stream
from gr2st_core.types import StrArray

LeftOut = Literal["patient", "section"]

MIN_UNITS = 3
"""Fewer patients or sections to leave out say nothing of how much they differ."""
_SEED = 0


@dataclass(frozen=True, slots=True)
class SpotSample:
    """Some spots of one training section.

    Attributes
    ----------
    section
        ``cohort/section``.
    spot_ids
        Sorted, shape ``(n_spots,)``.
    features
        Patch features of one encoder, float32 ``(n_spots, d_features)``.
    """

    section: str
    spot_ids: StrArray
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Units:
    """Who is left out together.

    Attributes
    ----------
    left_out
        What one unit is; None where there are too few of either.
    of
        Unit of every training section.
    """

    left_out: LeftOut | None
    of: Mapping[str, str]


def draw_spots(section: str, spot_ids: StrArray, features: NDArray[np.float32], n_spots: int) -> SpotSample:
    """Draw at most ``n_spots`` spots without replacement; the draw depends on the ids, not on their order.

    Raises
    ------
    AlignmentError
        Ids and rows differ in number.
    """
    if len(spot_ids) != len(features):
        raise AlignmentError("one feature row per spot", section=section, expected=len(spot_ids), found=len(features))
    order = np.argsort(spot_ids, kind="stable")
    if len(order) > n_spots:
        order = order[np.sort(stream(_SEED, "drift", section).choice(len(order), n_spots, replace=False))]
    return SpotSample(section, spot_ids[order], features[order])


def units_of(patients: Mapping[str, str]) -> Units:
    """Leave out patients where there are three, else sections where there are three, else nobody.

    Parameters
    ----------
    patients
        Donor of every training section, by ``cohort/section``.

    Notes
    -----
    A section whose patient stays in the reference is nearer to it than a stranger's would be: thresholds that rest on
    sections are narrow for new patients.
    """
    if len(set(patients.values())) >= MIN_UNITS:
        return Units("patient", dict(patients))
    return Units("section" if len(patients) >= MIN_UNITS else None, {section: section for section in patients})
