"""The genes that matter most: which they are, and whether a prediction finds them.

Belongs here: choosing highly expressed genes from training, recall of the highest genes of a section. Does not belong
here: choosing genes by the score they reached, which rewards whoever chooses.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr2st_core.errors import AlignmentError, SettingsError
from gr2st_core.evaluation.metrics import is_constant


def n_top_genes(n_genes: int, most: int) -> int:
    """``most``, but at most a quarter of the panel (rounded up): of a whole panel any prediction finds all."""
    if most < 1:
        raise SettingsError("at least one top gene", field="n_top_genes", found=most)
    return min(most, -(-n_genes // 4))


def highest(values: ArrayLike, k: int) -> NDArray[np.bool_]:
    """Mark the ``k`` largest values, shape ``(n_genes,)``; of equal ones the first.

    Notes
    -----
    On training means it gives the highly expressed genes of a fold. The published HEG set is chosen by the mean of
    the test section, which the score is then given on.
    """
    numbers = np.asarray(values, dtype=np.float64)
    chosen = np.zeros(len(numbers), dtype=np.bool_)
    chosen[np.argsort(-numbers, kind="stable")[:k]] = True
    return chosen


def top_gene_recall(observed_mean: ArrayLike, predicted_mean: ArrayLike, k: int) -> float:
    """Share of a section's ``k`` highest genes that are among the ``k`` highest predicted.

    Parameters
    ----------
    observed_mean, predicted_mean
        Mean over the spots per gene, or that minus the training mean: then it asks which genes are raised in this
        section, which the training mean cannot answer. Shape ``(n_genes,)``.

    Returns
    -------
    ``k / n_genes`` by chance; NaN where either side is the same for all genes.

    Raises
    ------
    AlignmentError
    """
    truth, guess = np.asarray(observed_mean, dtype=np.float64), np.asarray(predicted_mean, dtype=np.float64)
    if truth.shape != guess.shape or truth.ndim != 1:
        raise AlignmentError("one mean per gene on both sides", expected=truth.shape, found=guess.shape)
    if k < 1 or is_constant(truth[:, None])[0] or is_constant(guess[:, None])[0]:
        return float("nan")
    return float((highest(truth, k) & highest(guess, k)).sum() / k)
