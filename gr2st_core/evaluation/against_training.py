"""What a prediction adds to the training mean, gene by gene, and how much of the spread it keeps.

Belongs here: metrics that need the mean of the training spots, and the ratio of variances. Does not belong here:
correlations over spots (``metrics``), computing the training mean (the method ``null_training_mean``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.metrics import is_constant, require_aligned

Floats = NDArray[np.float64]

_ROUNDING = 8 * float(np.finfo(np.float32).eps)


def r2_per_gene(observed: ArrayLike, predicted: ArrayLike, training_mean: ArrayLike) -> Floats:
    """Share of the squared distance from the training mean that a prediction removes, shape ``(n_genes,)``.

    Parameters
    ----------
    observed, predicted
        Aligned, shape ``(n_spots, n_genes)``, in target units.
    training_mean
        Mean of the training spots per gene, same units, shape ``(n_genes,)``.

    Returns
    -------
    1 for a perfect prediction, 0 for the training mean itself, negative for anything worse; NaN for a gene that
    equals its training mean in every spot.

    Raises
    ------
    AlignmentError, NonFiniteError

    Notes
    -----
    The usual R2 divides by the spread around the test section's own mean, which no method can know; this one also
    credits a prediction that finds the level of the section.
    """
    truth, guess = require_aligned(observed, predicted)
    mean = require_training_mean(training_mean, truth.shape[1])
    total = np.square(truth - mean).sum(axis=0)
    left = np.square(truth - guess).sum(axis=0)
    # A constant equal to the float32 training mean differs from it by rounding alone.
    undefined = is_constant(np.vstack([truth, mean]))
    r2 = np.full(truth.shape[1], np.nan)
    np.divide(left, total, out=r2, where=~undefined)
    return 1.0 - r2


def variance_ratio_per_gene(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Variance over spots of the prediction over that of the truth, shape ``(n_genes,)``.

    Returns
    -------
    0 for a constant prediction, below 1 where spread is lost, NaN where the truth is constant.

    Raises
    ------
    AlignmentError, NonFiniteError

    Notes
    -----
    A perfect predictor of the expected expression stays below 1, since the truth also has the noise of counting.
    """
    truth, guess = require_aligned(observed, predicted)
    ratio = np.full(truth.shape[1], np.nan)
    spread = np.where(is_constant(guess), 0.0, guess.var(axis=0))
    np.divide(spread, truth.var(axis=0), out=ratio, where=~is_constant(truth))
    return ratio


def beyond_training(values: ArrayLike, training_mean: ArrayLike) -> Floats:
    """Subtract the training mean; 0 where float32 rounding explains the rest, so that the mean itself leaves nothing.

    Parameters
    ----------
    values
        Shape ``(n_genes,)`` or ``(n_spots, n_genes)``.

    Raises
    ------
    AlignmentError
    """
    matrix = np.asarray(values, dtype=np.float64)
    mean = require_training_mean(training_mean, matrix.shape[-1])
    left = matrix - mean
    return np.where(np.abs(left) <= _ROUNDING * np.abs(mean), 0.0, left)


def require_training_mean(training_mean: ArrayLike, n_genes: int) -> Floats:
    """Check that there is one finite number a gene.

    Raises
    ------
    AlignmentError
    """
    mean = np.asarray(training_mean, dtype=np.float64)
    if mean.shape != (n_genes,) or not np.isfinite(mean).all():
        raise AlignmentError("one finite training mean per gene", expected=(n_genes,), found=mean.shape)
    return mean
