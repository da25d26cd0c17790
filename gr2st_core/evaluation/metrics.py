"""How close a prediction is to what was measured: per gene, per section, over sections and patients.

Belongs here: metrics of two aligned matrices and their averages. Does not belong here: reading, targets, nulls, the
ceiling, tests.

A gene without spread, in truth or prediction, has no correlation: NaN, counted, never dropped in silence. Matrices are
``(n_spots, n_genes)`` with rows and columns already joined by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from gr2st_core.errors import AlignmentError, NonFiniteError

Floats = NDArray[np.float64]

_ROUNDING = 8 * float(np.finfo(np.float32).eps)
"""Relative spread that float32 storage alone can produce; anything below is a constant."""


def is_constant(values: ArrayLike) -> NDArray[np.bool_]:
    """Columns that vary by no more than float32 rounding of their largest value, shape ``(n_genes,)``."""
    matrix = np.asarray(values, dtype=np.float64)
    return np.asarray(np.ptp(matrix, axis=0) <= _ROUNDING * np.abs(matrix).max(axis=0))


def pearson_per_gene(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Pearson correlation over spots, shape ``(n_genes,)``; NaN where either side is constant.

    Raises
    ------
    AlignmentError
        The shapes differ or hold no spot.
    NonFiniteError
        A value is NaN or infinite.
    """
    return _pearson(*require_aligned(observed, predicted))


def spearman_per_gene(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Spearman correlation over spots (ties share their mean rank), NaN and errors as `pearson_per_gene`."""
    truth, guess = require_aligned(observed, predicted)
    correlation = _pearson(rankdata(truth, axis=0), rankdata(guess, axis=0))
    correlation[is_constant(truth) | is_constant(guess)] = np.nan
    return correlation


def mse_per_gene(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Mean squared error over spots in squared target units, shape ``(n_genes,)``; errors as `pearson_per_gene`."""
    truth, guess = require_aligned(observed, predicted)
    return np.asarray(np.square(guess - truth).mean(axis=0))


def mae_per_gene(observed: ArrayLike, predicted: ArrayLike) -> Floats:
    """Mean absolute error over spots in target units, shape ``(n_genes,)``; errors as `pearson_per_gene`."""
    truth, guess = require_aligned(observed, predicted)
    return np.asarray(np.abs(guess - truth).mean(axis=0))


def require_aligned(observed: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Take both as float64 ``(n_spots, n_genes)``.

    Raises
    ------
    AlignmentError
        The shapes differ or hold no spot.
    NonFiniteError
        A value is NaN or infinite.
    """
    truth, guess = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.shape != guess.shape or truth.ndim != 2 or len(truth) == 0:
        raise AlignmentError("observed and predicted are (n_spots, n_genes)", expected=truth.shape, found=guess.shape)
    for name, matrix in (("observed", truth), ("predicted", guess)):
        if not np.isfinite(matrix).all():
            raise NonFiniteError(f"{name} values are finite", field=name, found=int((~np.isfinite(matrix)).sum()))
    return truth, guess


def _pearson(truth: Floats, guess: Floats) -> Floats:
    undefined = is_constant(truth) | is_constant(guess)
    a, b = truth - truth.mean(axis=0), guess - guess.mean(axis=0)
    norms = np.sqrt(np.einsum("sg,sg->g", a, a)) * np.sqrt(np.einsum("sg,sg->g", b, b))
    correlation = np.full(truth.shape[1], np.nan)
    np.divide(np.einsum("sg,sg->g", a, b), norms, out=correlation, where=~undefined)
    return np.asarray(np.clip(correlation, -1.0, 1.0))


def score_section(observed: ArrayLike, predicted: ArrayLike, genes: Sequence[str]) -> pd.DataFrame:
    """Every metric of every gene of one section.

    Returns
    -------
    One row a gene, in the order of ``genes``: gene, n_spots, pearson, pearson_zero_filled, spearman, mse, mae,
    observed_mean, predicted_mean, is_observed_constant, is_predicted_constant. ``pearson_zero_filled`` is 0 where only
    the prediction is constant, so that a collapsed gene costs, and NaN where the truth is.

    Raises
    ------
    AlignmentError, NonFiniteError
    """
    truth, guess = require_aligned(observed, predicted)
    if truth.shape[1] != len(genes):
        raise AlignmentError("one gene name per column", expected=truth.shape[1], found=len(genes))
    pearson, flat_truth, flat_guess = _pearson(truth, guess), is_constant(truth), is_constant(guess)
    return pd.DataFrame(
        {
            "gene": list(genes),
            "n_spots": len(truth),
            "pearson": pearson,
            "pearson_zero_filled": zero_filled(pearson, flat_truth),
            "spearman": spearman_per_gene(truth, guess),
            "mse": mse_per_gene(truth, guess),
            "mae": mae_per_gene(truth, guess),
            "observed_mean": truth.mean(axis=0),
            "predicted_mean": guess.mean(axis=0),
            "is_observed_constant": flat_truth,
            "is_predicted_constant": flat_guess,
        }
    )


def zero_filled(pearson: Floats, is_observed_constant: NDArray[np.bool_]) -> Floats:
    """Correlations with 0 for a constant prediction; still NaN where the truth is constant."""
    return np.where(is_observed_constant, np.nan, np.nan_to_num(pearson))


def mean_of_defined(values: ArrayLike) -> float:
    """Mean without NaN; NaN if nothing is left."""
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")


def column_means_of_defined(rows: Sequence[Floats]) -> Floats:
    """Mean of equally long rows without NaN, column by column; NaN where no row has a value."""
    stacked = np.stack(rows)
    n_defined = (~np.isnan(stacked)).sum(axis=0)
    means = np.full(stacked.shape[1], np.nan)
    np.divide(np.nansum(stacked, axis=0), n_defined, out=means, where=n_defined > 0)
    return means


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """Means over the genes of one section.

    Attributes
    ----------
    n_undefined
        Genes without a correlation, of which ``n_observed_constant`` have a constant truth.
    pearson, spearman
        Over genes where they are defined.
    pearson_zero_filled
        With 0 for genes of constant prediction.
    section_mean_error
        Mean over genes of the absolute error of the section's mean expression, in target units.
    """

    n_genes: int
    n_undefined: int
    n_observed_constant: int
    pearson: float
    pearson_zero_filled: float
    spearman: float
    mse: float
    mae: float
    section_mean_error: float


def summarise(scores: pd.DataFrame) -> SectionSummary:
    """Average the table of `score_section` over genes."""
    return SectionSummary(
        n_genes=len(scores),
        n_undefined=int(scores["pearson"].isna().sum()),
        n_observed_constant=int(scores["is_observed_constant"].sum()),
        pearson=mean_of_defined(scores["pearson"]),
        pearson_zero_filled=mean_of_defined(scores["pearson_zero_filled"]),
        spearman=mean_of_defined(scores["spearman"]),
        mse=float(scores["mse"].mean()),
        mae=float(scores["mae"].mean()),
        section_mean_error=float((scores["observed_mean"] - scores["predicted_mean"]).abs().mean()),
    )
