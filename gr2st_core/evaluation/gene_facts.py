"""Columns of a gene's score that need more than the two matrices: the training mean, the spatial graph.

Belongs here: adding them to the table of ``metrics.score_section``. Does not belong here: any formula.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from gr2st_core.evaluation.against_training import r2_per_gene, variance_ratio_per_gene
from gr2st_core.evaluation.moran import morans_i
from gr2st_core.evaluation.top_genes import highest, n_top_genes


def with_gene_facts(
    scores: pd.DataFrame,
    observed: ArrayLike,
    predicted: ArrayLike,
    *,
    training_mean: ArrayLike | None,
    edges: NDArray[np.integer],
    most_top_genes: int,
) -> pd.DataFrame:
    """Add r2, variance_ratio, moran_observed, moran_predicted, training_mean and is_highly_expressed.

    Parameters
    ----------
    scores
        Of ``score_section`` on the same matrices, rows in column order.
    training_mean
        Shape ``(n_genes,)``; None if nobody predicted it, then what needs it is undefined.
    edges
        Spatial graph of the section, see ``morans_i``.
    most_top_genes
        Highly expressed genes, at most.
    """
    n_genes = len(scores)
    mean = np.full(n_genes, np.nan) if training_mean is None else np.asarray(training_mean, dtype=np.float64)
    k = n_top_genes(n_genes, most_top_genes)
    return scores.assign(
        r2=mean if training_mean is None else r2_per_gene(observed, predicted, mean),
        variance_ratio=variance_ratio_per_gene(observed, predicted),
        moran_observed=morans_i(observed, edges),
        moran_predicted=morans_i(predicted, edges),
        training_mean=mean,
        is_highly_expressed=pd.array([None] * n_genes if training_mean is None else highest(mean, k), dtype="boolean"),
    )
