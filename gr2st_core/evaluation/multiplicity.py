"""Corrections for asking many questions of the same data.

Belongs here: adjusted p-values of a family. Does not belong here: what makes a family, p-values themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr2st_core.errors import SchemaError


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values so that the chance of any false claim in the family is bounded, whatever their dependence.

    Parameters
    ----------
    p_values
        One a comparison of the family; NaN (no test made) stays NaN and does not count.

    Returns
    -------
    Adjusted p-values in the order given, at most 1.

    Raises
    ------
    SchemaError
        A value is outside 0 to 1.

    Notes
    -----
    Holm 1979: the i-th smallest of m is multiplied by m - i + 1, and never lies below the one before it.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise SchemaError("p-values lie between 0 and 1", found=p[tested].tolist())
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
