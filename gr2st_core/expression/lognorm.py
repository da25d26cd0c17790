"""Depth-normalised, log-transformed expression as scanpy expects it.

Belongs here: the one route from ``Counts`` to an ``AnnData`` for scanpy's own analyses. Does not belong here: what a
model predicts (``targets``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gr2st_core.types import Counts

if TYPE_CHECKING:
    import anndata


def log_normalise(counts: Counts) -> anndata.AnnData:
    """Scale every spot to the median total of the section's filled spots and take ln(1 + x).

    Returns
    -------
    Spots x genes in the order of ``counts``, CSC float64; an empty spot stays empty.
    """
    import anndata
    import scanpy

    totals = counts.totals()
    filled = totals[totals > 0]
    with quiet_scanpy():
        data = anndata.AnnData(counts.matrix.astype(np.float64), var=pd.DataFrame(index=pd.Index(counts.genes)))
        scanpy.pp.normalize_total(data, target_sum=float(np.median(filled)) if filled.size else 1.0)
        scanpy.pp.log1p(data)
    # By column each gene is summed by one thread: statistics do not depend on how many there are.
    data.X = data.X.tocsc()
    return data


@contextmanager
def quiet_scanpy() -> Iterator[None]:
    """Silence, inside the block only, warnings about empty spots and genes without variation."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")
        yield
