"""Metrics agree with scipy, keep their invariances, and report what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gr2st_core.errors import AlignmentError, NonFiniteError
from gr2st_core.evaluation.metrics import (
    column_means_of_defined,
    is_constant,
    mae_per_gene,
    mean_of_defined,
    mse_per_gene,
    pearson_per_gene,
    score_section,
    spearman_per_gene,
    summarise,
)


def pair(seed: int = 0, shape: tuple[int, int] = (40, 7)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.log10(1 + rng.poisson(2.0, shape)).astype(np.float32)
    return truth, (0.5 * truth + rng.normal(size=shape)).astype(np.float32)


def test_correlations_equal_scipy() -> None:
    truth, guess = pair()
    wide, other = truth.astype(np.float64), guess.astype(np.float64)
    expected = [stats.pearsonr(wide[:, g], other[:, g]).statistic for g in range(7)]
    ranks = [stats.spearmanr(wide[:, g], other[:, g]).statistic for g in range(7)]
    np.testing.assert_allclose(pearson_per_gene(truth, guess), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(spearman_per_gene(truth, guess), ranks, rtol=0, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_correlation_ignores_scale_and_offset_of_a_gene(seed: int, scale: float, offset: float) -> None:
    truth, guess = (array.astype(np.float64) for array in pair(seed, (12, 3)))
    moved = pearson_per_gene(truth, scale * guess + offset)
    np.testing.assert_allclose(moved, pearson_per_gene(truth, guess), atol=1e-9)
    np.testing.assert_allclose(pearson_per_gene(guess, truth), pearson_per_gene(truth, guess), atol=1e-12)


def test_spots_may_come_in_any_order() -> None:
    truth, guess = pair()
    order = np.random.default_rng(1).permutation(len(truth))
    np.testing.assert_allclose(pearson_per_gene(truth[order], guess[order]), pearson_per_gene(truth, guess), atol=1e-12)


def test_a_constant_on_either_side_is_undefined() -> None:
    truth, guess = pair()
    truth[:, 0], guess[:, 1] = 0, 3.25
    for metric in (pearson_per_gene, spearman_per_gene):
        np.testing.assert_array_equal(np.isnan(metric(truth, guess)), [True, True, False, False, False, False, False])


def test_float32_rounding_is_not_spread() -> None:
    truth, guess = pair()
    rng = np.random.default_rng(2)
    guess[:, 0] = np.float32(2.7) + rng.integers(-2, 3, len(guess)).astype(np.float32) * np.spacing(np.float32(2.7))
    guess[:, 1] = np.float32(2.7) + np.float32(1e-4) * truth[:, 1]
    correlation = pearson_per_gene(truth, guess)
    assert np.isnan(correlation[0])
    assert correlation[1] > 0.99


def test_one_spot_has_no_correlation() -> None:
    assert np.isnan(pearson_per_gene([[1.0, 2.0]], [[3.0, 4.0]])).all()


def test_errors_are_means_over_spots() -> None:
    truth, guess = [[0.0, 1.0], [2.0, 1.0]], [[1.0, 1.0], [0.0, 4.0]]
    np.testing.assert_allclose(mse_per_gene(truth, guess), [2.5, 4.5])
    np.testing.assert_allclose(mae_per_gene(truth, guess), [1.5, 1.5])


@pytest.mark.parametrize("metric", [pearson_per_gene, spearman_per_gene, mse_per_gene, mae_per_gene])
def test_metrics_refuse_what_is_not_aligned_or_finite(metric: object) -> None:
    truth, guess = pair()
    with pytest.raises(AlignmentError, match=r"expected=\(40, 7\), found=\(39, 7\)"):
        metric(truth, guess[1:])  # type: ignore[operator]
    with pytest.raises(AlignmentError):
        metric(truth[:0], guess[:0])  # type: ignore[operator]
    guess[3, 2] = np.inf
    with pytest.raises(NonFiniteError, match=r"predicted values are finite.*found=1"):
        metric(truth, guess)  # type: ignore[operator]


def test_a_collapsed_gene_counts_zero_and_a_constant_truth_is_left_out() -> None:
    truth, guess = pair()
    truth[:, 0], guess[:, 1], truth[:, 2], guess[:, 2] = 1, 1, 1, 1
    table = score_section(truth, guess, list("abcdefg"))
    assert table["gene"].tolist() == list("abcdefg")
    np.testing.assert_array_equal(table["pearson"].isna(), [True] * 3 + [False] * 4)
    np.testing.assert_array_equal(table["pearson_zero_filled"].isna(), [True, False, True] + [False] * 4)
    assert table["pearson_zero_filled"][1] == 0
    np.testing.assert_array_equal(table["is_observed_constant"], [True, False, True] + [False] * 4)
    np.testing.assert_array_equal(table["is_predicted_constant"], [False, True, True] + [False] * 4)


def test_a_gene_table_needs_one_name_a_column() -> None:
    with pytest.raises(AlignmentError, match="one gene name per column"):
        score_section(*pair(), genes=["a"])


def test_a_summary_averages_both_treatments_of_undefined_genes() -> None:
    truth, guess = pair()
    truth[:, 0], guess[:, 1] = 1, 1
    defined = pearson_per_gene(truth, guess)[2:]
    summary = summarise(score_section(truth, guess, list("abcdefg")))
    assert (summary.n_genes, summary.n_undefined, summary.n_observed_constant) == (7, 2, 1)
    assert summary.pearson == pytest.approx(defined.mean())
    assert summary.pearson_zero_filled == pytest.approx(defined.sum() / 6)
    assert summary.mse == pytest.approx(np.square(truth - guess.astype(np.float64)).mean())
    assert summary.section_mean_error == pytest.approx(np.abs((truth - guess.astype(np.float64)).mean(axis=0)).mean())


def test_a_summary_of_nothing_defined_is_undefined() -> None:
    summary = summarise(score_section(np.ones((4, 2)), np.ones((4, 2)), ["a", "b"]))
    assert np.isnan([summary.pearson, summary.pearson_zero_filled, summary.spearman]).all()
    assert (summary.n_undefined, summary.mse) == (2, 0)


def test_means_skip_what_is_undefined() -> None:
    assert mean_of_defined([1.0, np.nan, 3.0]) == 2
    assert np.isnan(mean_of_defined([np.nan]))
    rows = [np.array([1.0, np.nan, np.nan]), np.array([3.0, 5.0, np.nan])]
    np.testing.assert_array_equal(column_means_of_defined(rows), [2, 5, np.nan])


def test_zero_is_a_constant() -> None:
    np.testing.assert_array_equal(is_constant(np.zeros((3, 1))), [True])
