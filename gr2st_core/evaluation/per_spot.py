"""How well the profile of each spot is predicted: correlation over genes instead of over spots.

Belongs here: scores of one spot across the panel. Does not belong here: scores of one gene (``metrics``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr2st_core.evaluation.against_training import beyond_training
from gr2st_core.evaluation.metrics import pearson_per_gene, require_aligned

Floats = NDArray[np.float64]


def pearson_per_spot(observed: ArrayLike, predicted: ArrayLike, training_mean: ArrayLike | None = None) -> Floats:
    """Pearson correlation over genes, shape ``(n_spots,)``; NaN where either profile is constant.

    Parameters
    ----------
    observed, predicted
        Aligned, shape ``(n_spots, n_genes)``.
    training_mean
        Taken from both first if given, shape ``(n_genes,)``.

    Raises
    ------
    AlignmentError, NonFiniteError

    Notes
    -----
    Without the training mean the score is high for any prediction, since some genes are high everywhere: the training
    mean itself scores well. With it, only what differs from the training mean counts, and that null is undefined.
    """
    truth, guess = require_aligned(observed, predicted)
    if training_mean is None:
        return pearson_per_gene(truth.T, guess.T)
    return pearson_per_gene(beyond_training(truth, training_mean).T, beyond_training(guess, training_mean).T)
