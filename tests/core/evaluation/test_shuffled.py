"""Exchanged spots carry no signal."""

from __future__ import annotations

import numpy as np

from gr2st_core.evaluation.shuffled import shuffled_pearson


def test_a_perfect_prediction_scores_nothing_when_shuffled() -> None:
    truth = np.random.default_rng(0).normal(size=(200, 1)) + np.zeros((1, 30))
    truth += 0.5 * np.random.default_rng(1).normal(size=(200, 30))
    assert abs(shuffled_pearson(truth, truth, n_permutations=20)) < 0.04
    assert shuffled_pearson(truth, truth, n_permutations=2) == shuffled_pearson(truth, truth, n_permutations=2)


def test_a_constant_prediction_is_undefined_when_shuffled() -> None:
    truth = np.random.default_rng(0).normal(size=(20, 3))
    assert np.isnan(shuffled_pearson(truth, np.ones_like(truth), n_permutations=3))
