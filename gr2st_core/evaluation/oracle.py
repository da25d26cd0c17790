"""The depth oracle: how far the amount of RNA in a spot alone goes.

Belongs here: the one number a spot that the oracle predicts. Does not belong here: scoring it (``metrics``).

It reads the counts that are to be predicted, so it is a diagnostic of a target, not a method and not a bar to beat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_depth(panel_counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Natural log of one plus the spot's panel molecules, shape ``(n_spots,)``.

    Parameters
    ----------
    panel_counts
        Raw counts, shape ``(n_spots, n_genes)``.
    """
    depth: NDArray[np.float64] = np.log1p(panel_counts.sum(axis=1, dtype=np.float64))
    return depth


def depth_oracle(panel_counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Predict the spot's log depth for every gene, shape ``(n_spots, n_genes)``.

    Only correlations of it mean anything: its unit is not that of any target.
    """
    return np.repeat(log_depth(panel_counts)[:, None], panel_counts.shape[1], axis=1)
