"""The cell classes that every source of cell types is brought to.

Belongs here: the vocabulary, its order, and a spot's dominant class. Does not belong here: any source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SchemaError
from gr2st_core.types import CellTypes

CLASSES: tuple[str, ...] = ("nolabe", "necros", "neopla", "inflam", "connec", "no-neo")
"""HoVer-Net's PanNuke classes: unknown, necrotic, neoplastic, inflammatory, connective, non-neoplastic epithelium."""


def dominant_class(types: CellTypes) -> NDArray[np.int64]:
    """Class with the largest share of each spot.

    Returns
    -------
    Index into ``CLASSES``, shape ``(n_spots,)``. Ties go to the first class; a spot of which nothing is known is
    ``nolabe``, 0.

    Raises
    ------
    SchemaError
        Columns other than ``CLASSES``.

    Notes
    -----
    Order and tie rule: the published GR2ST code, which differs from HoVer-Net's own order.
    """
    if types.classes != CLASSES:
        raise SchemaError(
            "cell types have the common classes as columns", method=types.method, expected=CLASSES, found=types.classes
        )
    shares = types.proportions
    unknown = np.isnan(shares).any(axis=1, keepdims=True)
    codes: NDArray[np.int64] = np.where(unknown, 0.0, shares).argmax(axis=1)
    return codes
