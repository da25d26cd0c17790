"""Counts to the number that a model predicts.

Belongs here: the normalisations that a score can be given on. Does not belong here: which genes (``panels``), how
deep (``depth``), or any scaling fitted on training sections (the methods).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gr2st_core.errors import SettingsError
from gr2st_core.keys import Target
from gr2st_core.types import Counts, Panel

SCALE = 1e4

TARGET_UNITS: dict[Target, str] = {
    "per_spot": "log10(1 + counts per 10,000 of the spot's panel counts)",
    "per_gene_legacy": "log10(1 + counts per 10,000 of the gene's counts in the section)",
    "cp10k": "ln(1 + counts per 10,000 of the spot's counts over all genes)",
}
"""What one value means, for column descriptions and axis labels."""


def to_target(counts: Counts, panel: Panel, target: Target) -> NDArray[np.float32]:
    """Normalise one section's counts to a prediction target.

    Parameters
    ----------
    counts
        All genes of the section: ``cp10k`` divides by the spot's total over them.
    panel
        Columns of the result; a gene that the section never measured is a column of zeros.
    target
        ``per_spot``, ``per_gene_legacy`` or ``cp10k``; units in ``TARGET_UNITS``.

    Returns
    -------
    Shape ``(n_spots, n_genes)``, rows as in ``counts``, columns in panel order. Computed in float64. Zero counts
    stay zero, so does a spot (``per_gene_legacy``: a gene) without any.

    Raises
    ------
    SettingsError
        Unknown target.

    Notes
    -----
    Source: the data loaders (``per_spot``) and the evaluation script (``per_gene_legacy``) of the published GR2ST
    code; the second normalises genes where spots were meant, so depth stays in it. ``cp10k`` is the field's usual
    depth normalisation.
    """
    observed = counts.of(panel).astype(np.float64)
    if target == "per_spot":
        values = np.log10(1 + _per_total(observed, observed.sum(axis=1, keepdims=True)))
    elif target == "per_gene_legacy":
        values = np.log10(1 + _per_total(observed, observed.sum(axis=0, keepdims=True)))
    elif target == "cp10k":
        values = np.log1p(_per_total(observed, counts.totals()[:, None]))
    else:
        raise SettingsError("unknown target", found=target, expected=tuple(TARGET_UNITS))
    return values.astype(np.float32)


def _per_total(observed: NDArray[np.float64], totals: NDArray[np.number]) -> NDArray[np.float64]:
    # A total of zero has only zeros above it; dividing those by one keeps them zero.
    scale: NDArray[np.float64] = SCALE / np.maximum(totals, 1)
    return observed * scale
