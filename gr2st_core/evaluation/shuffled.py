"""Shuffled control: what a prediction scores when its spots are exchanged.

Belongs here: scores of permuted predictions. Does not belong here: permuting what a method reads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gr2st_core.evaluation.metrics import mean_of_defined, pearson_per_gene


def shuffled_pearson(observed: ArrayLike, predicted: ArrayLike, *, n_permutations: int, seed: int = 0) -> float:
    """Mean correlation over genes, and over random exchanges of the predicted spots; near 0 for any prediction.

    Parameters
    ----------
    observed, predicted
        Aligned, shape ``(n_spots, n_genes)``; NaN and errors as in ``pearson_per_gene``.
    """
    rng = np.random.default_rng(seed)
    guess = np.asarray(predicted)
    orders = (rng.permutation(len(guess)) for _ in range(n_permutations))
    return mean_of_defined([mean_of_defined(pearson_per_gene(observed, guess[order])) for order in orders])
