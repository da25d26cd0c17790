"""Scores against the training mean, and how much spread is kept."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.against_training import beyond_training, r2_per_gene, variance_ratio_per_gene
from gr2st_core.evaluation.per_spot import pearson_per_spot

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(2.0, 1.0, (50, 6)).astype(np.float32)
MEAN = (TRUTH.mean(axis=0) + 0.3).astype(np.float32)


def test_r2_is_one_for_the_truth_zero_for_the_training_mean_and_negative_for_worse():
    np.testing.assert_allclose(r2_per_gene(TRUTH, TRUTH, MEAN), 1)
    np.testing.assert_allclose(r2_per_gene(TRUTH, np.tile(MEAN, (50, 1)), MEAN), 0, atol=1e-12)
    assert (r2_per_gene(TRUTH, np.tile(MEAN + 1, (50, 1)), MEAN) < 0).all()


def test_r2_by_hand():
    # distances from the training mean 1: 1 + 1 = 2; from the prediction: 0 + 0.25
    np.testing.assert_allclose(r2_per_gene([[0.0], [2.0]], [[0.0], [1.5]], [1.0]), [1 - 0.25 / 2])


def test_r2_credits_finding_the_level_of_the_section():
    own_mean = np.tile(TRUTH.mean(axis=0), (50, 1))
    assert (r2_per_gene(TRUTH, own_mean, MEAN) > 0).all()


def test_r2_of_a_gene_that_equals_its_training_mean_is_undefined():
    truth = TRUTH.copy()
    truth[:, 0] = MEAN[0]
    truth[:, 1] = MEAN[1] + 1  # constant, but elsewhere: the training mean is wrong about it
    np.testing.assert_array_equal(np.isnan(r2_per_gene(truth, TRUTH, MEAN)), [True] + [False] * 5)


def test_variance_ratio():
    guess = 0.5 * TRUTH.astype(np.float64) + 3
    guess[:, 0] = 1.5
    truth = TRUTH.copy()
    truth[:, 1] = 0
    np.testing.assert_allclose(variance_ratio_per_gene(truth, guess), [0, np.nan, 0.25, 0.25, 0.25, 0.25])


def test_the_training_mean_leaves_nothing_beyond_itself():
    assert (beyond_training(np.tile(MEAN, (3, 1)) * (1 + 1e-7), MEAN) == 0).all()
    np.testing.assert_allclose(beyond_training(MEAN + 0.5, MEAN), 0.5, rtol=1e-6)
    with pytest.raises(AlignmentError, match="one finite training mean"):
        beyond_training(TRUTH, MEAN[:5])
    with pytest.raises(AlignmentError, match="one finite training mean"):
        r2_per_gene(TRUTH, TRUTH, np.full(6, np.nan))


def test_correlation_over_genes_is_high_for_the_training_mean_and_undefined_without_it():
    level = np.arange(6.0)
    truth = TRUTH + 5 * level
    mean = truth.mean(axis=0)
    guess = np.tile(mean, (50, 1))
    assert pearson_per_spot(truth, guess).min() > 0.9
    assert np.isnan(pearson_per_spot(truth, guess, mean)).all()
    expected = [np.corrcoef(t - mean, 0.3 * (t - mean))[0, 1] for t in truth]
    np.testing.assert_allclose(pearson_per_spot(truth, mean + 0.3 * (truth - mean), mean), expected)


def test_a_spot_of_equal_values_has_no_correlation_over_genes():
    truth = TRUTH.copy()
    truth[3] = 0  # a spot without molecules
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(pearson_per_spot(truth, TRUTH))), [3])
    expected = np.corrcoef(truth[5], TRUTH[7])[0, 1]
    np.testing.assert_allclose(pearson_per_spot(truth[5:6], TRUTH[7:8]), [expected])
