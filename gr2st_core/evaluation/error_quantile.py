"""Quantile of the errors of some patients that covers a new one.

Belongs here: from scaled errors to the quantile. Does not belong here: errors, their scale, intervals (``conformal``).

Source: Dunn, Wasserman & Ramdas, "Distribution-free prediction sets for two-layer hierarchical models", JASA 2023.
Spots of a patient are alike, so a new patient is compared with K patients, not with all their spots: draw one spot of
each, and of the K errors take that of rank ceil(level * (K + 1)), which covers a spot of a new patient with at least
the probability ``level``. Such a rank exists from nine patients on at level 0.9. One draw is a matter of luck, so we
take the median over all possible draws, which is known exactly, since how many of the K lie below a value is Poisson
binomial; the theorem is about one draw. With fewer patients the quantile is that of all their spots, every patient
weighing alike, and speaks of new spots of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDING = 1e-9


def rank_of_patients(n_patients: int, level: float) -> int:
    """Rank among the errors of so many patients, one of each, that covers a new one; above their number without any."""
    return math.ceil(round(level * (n_patients + 1), 9))


def error_quantile(scaled: Sequence[Floats], level: float) -> Floats:
    """Smallest of the errors that reaches the level, for each gene, shape ``(n_genes,)``.

    Parameters
    ----------
    scaled
        Errors of each patient, shape ``(n_spots, n_genes)``, at least one spot each.
    """
    ranked = np.sort(np.concatenate(scaled), axis=0)
    rank = rank_of_patients(len(scaled), level)
    low, high = np.zeros(ranked.shape[1], dtype=np.int64), np.full(ranked.shape[1], len(ranked) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        value = np.take_along_axis(ranked, middle[None], axis=0)[0]
        below = np.stack([(errors <= value).mean(axis=0) for errors in scaled])
        if rank <= len(scaled):
            is_reached = _chance_of_rank(below, rank) >= 0.5 - _ROUNDING
        else:
            is_reached = below.mean(axis=0) >= min(level * (1 + 1 / len(ranked)), 1) - _ROUNDING
        low, high = np.where(is_reached, low, np.minimum(middle + 1, high)), np.where(is_reached, middle, high)
    return np.asarray(np.take_along_axis(ranked, high[None], axis=0)[0])


def _chance_of_rank(below: Floats, rank: int) -> Floats:
    """Chance that at least ``rank`` of the patients' errors, one drawn of each, lie below a value.

    Parameters
    ----------
    below
        Share of each patient's errors below it, shape ``(n_patients, n_genes)``.
    """
    n_above = np.zeros((len(below) - rank + 1, below.shape[1]))  # chance of so many above, those of more left out
    n_above[0] = 1
    for share in below:
        n_above[1:] = n_above[1:] * share + n_above[:-1] * (1 - share)
        n_above[0] *= share
    return np.asarray(n_above.sum(axis=0))
