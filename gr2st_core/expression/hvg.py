"""How variable each gene is within one section.

Belongs here: the per-section table of highly variable genes. Does not belong here: choosing a panel from several
sections (``panels``).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gr2st_core.errors import SchemaError
from gr2st_core.expression.lognorm import log_normalise, quiet_scanpy
from gr2st_core.types import Counts

N_TOP = 1000

COLUMNS = (
    "gene",
    "n_spots",
    "detected_spots",
    "mean_count",
    "mean_expression",
    "dispersion",
    "dispersion_norm",
    "rank",
    "is_highly_variable",
)


def hvg_table(counts: Counts, *, n_top: int = N_TOP) -> pd.DataFrame:
    """Rank one section's genes by normalised dispersion.

    Parameters
    ----------
    counts
        All genes of the section.
    n_top
        Ranks up to this are highly variable.

    Returns
    -------
    One row per gene in the order of ``counts.genes``: ``n_spots`` of the section, ``detected_spots`` with at least
    one molecule, ``mean_count`` in molecules per spot, ``mean_expression`` = ln(1 + mean of depth-normalised counts),
    ``dispersion`` = ln(variance / mean), ``dispersion_norm`` = the same in standard deviations among genes of like
    mean, ``rank`` from 1 = most variable (ties by symbol), ``is_highly_variable``. Dispersions are NaN, and ranked
    last, for genes without variation; empty spots count as spots.

    Raises
    ------
    SchemaError
        No spot or no gene.

    Notes
    -----
    Source: scanpy's ``normalize_total``, ``log1p`` and ``highly_variable_genes`` with flavour ``seurat``, the recipe
    that published panels start from.
    """
    if 0 in counts.matrix.shape:
        raise SchemaError("variable genes need spots and genes", found=counts.matrix.shape)
    variability = _seurat_dispersion(counts)
    table = pd.DataFrame(
        {
            "gene": list(counts.genes),
            "n_spots": counts.matrix.shape[0],
            "detected_spots": np.bincount(counts.matrix.nonzero()[1], minlength=len(counts.genes)),
            "mean_count": np.asarray(counts.matrix.mean(axis=0)).ravel(),
            "mean_expression": variability["means"].to_numpy(),
            "dispersion": variability["dispersions"].to_numpy(),
            # Bins of one or two genes give many equal values; rounding keeps them equal whatever the order of sums.
            "dispersion_norm": variability["dispersions_norm"].to_numpy().round(9),
        }
    )
    order = table.sort_values(["dispersion_norm", "gene"], ascending=[False, True], na_position="last").index
    table.loc[order, "rank"] = np.arange(1, len(table) + 1)
    table["rank"] = table["rank"].astype(np.int64)
    table["is_highly_variable"] = (table["rank"] <= n_top) & table["dispersion_norm"].notna()
    return table[list(COLUMNS)]


def _seurat_dispersion(counts: Counts) -> pd.DataFrame:
    import scanpy

    data = log_normalise(counts)
    with quiet_scanpy():
        found: pd.DataFrame = scanpy.pp.highly_variable_genes(data, flavor="seurat", inplace=False)
    return found.replace([np.inf, -np.inf], np.nan)
