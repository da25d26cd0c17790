"""What a training section or patient would show, were it new: thresholds by leaving each out.

Belongs here: from values of what was left out to one threshold. Does not belong here: the values (``reference``,
``distances``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gr2st_core.drift.samples import MIN_UNITS

CONFIDENCE = 0.95
"""Share of new patients (or sections) that stay below a threshold which rests on many."""


def learn_threshold(left_out: Mapping[str, Sequence[float]]) -> float | None:
    """Threshold on a distance that few units like those left out would exceed.

    Parameters
    ----------
    left_out
        Distances of the sections of each unit (a patient or a section) from a reference without that unit.

    Returns
    -------
    None for fewer than ``MIN_UNITS`` units.

    Notes
    -----
    Of each unit the farthest section counts. From 19 units on it is the value of rank ``ceil(0.95 (n + 1))``, which
    a new, exchangeable unit exceeds with a probability of at most 5 % (split conformal bound). Fewer have no such
    rank: it is then their largest value times ``1 + 3 / n``. Were the quantity normal over units and the distance that
    from the others' mean, a new unit would exceed it in 10 % of cases for 3 units, 8 % for 4, 6 % for 6, 4 % for 10 and
    3 % for 18 (simulated, 200,000 draws).
    """
    worst = sorted(max(values) for values in left_out.values())
    n = len(worst)
    if n < MIN_UNITS:
        return None
    rank = math.ceil(CONFIDENCE * (n + 1))
    return worst[rank - 1] if rank <= n else worst[-1] * (1 + 3 / n)
