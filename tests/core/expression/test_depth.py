"""Thinning removes molecules and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import SchemaError
from gr2st_core.expression.depth import binomial_halves, common_depth, equal_depth
from gr2st_core.expression.targets import to_target
from gr2st_core.types import Counts, Panel


def section(seed: int = 0, n_spots: int = 300, n_genes: int = 40) -> np.ndarray:
    """Poisson counts, depth over two decades, composition equal but for noise."""
    rng = np.random.default_rng(seed)
    depth = np.exp(rng.normal(size=(n_spots, 1)) * 1.2 + 1)
    return rng.poisson(depth * rng.gamma(2.0, size=n_genes))


def test_halves_add_up_and_each_has_about_half() -> None:
    counts = section()
    first, second = binomial_halves(counts, np.random.default_rng(1))
    np.testing.assert_array_equal(first + second, counts)
    assert min(first.min(), second.min()) >= 0
    assert first.sum() / counts.sum() == pytest.approx(0.5, abs=0.01)


def test_halves_of_sparse_data_are_those_of_its_entries() -> None:
    matrix = sparse.csr_matrix(section())
    first, second = binomial_halves(matrix.data, np.random.default_rng(1))
    np.testing.assert_array_equal(first + second, matrix.data)


def test_halves_of_one_rate_are_independent() -> None:
    first, second = binomial_halves(np.random.default_rng(3).poisson(20.0, size=20_000), np.random.default_rng(4))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03


def test_kept_spots_all_have_the_common_depth_and_gain_nothing() -> None:
    counts = section()
    thinned, kept = equal_depth(counts, np.random.default_rng(0))
    depth = common_depth(counts.sum(axis=1))
    assert thinned.shape == (kept.sum(), counts.shape[1])
    assert (thinned.sum(axis=1) == depth).all()
    assert (thinned <= counts[kept]).all()
    assert (counts[~kept].sum(axis=1) < depth).all()


def test_nine_in_ten_filled_spots_are_kept_and_empty_ones_are_not() -> None:
    counts = section()
    counts[:20] = 0
    _, kept = equal_depth(counts, np.random.default_rng(0))
    assert not kept[:20].any()
    filled = counts.sum(axis=1) > 0
    assert kept[filled].mean() >= 0.9


def test_a_spot_that_has_exactly_the_depth_is_left_as_it_is() -> None:
    counts = np.array([[1, 2, 3], [10, 20, 30], [0, 0, 5]])
    thinned, kept = equal_depth(counts, np.random.default_rng(0), depth=6)
    np.testing.assert_array_equal(kept, [True, True, False])
    np.testing.assert_array_equal(thinned[0], [1, 2, 3])


def test_thinning_is_unbiased() -> None:
    counts = np.array([[100, 50, 50, 0]])
    rng = np.random.default_rng(0)
    mean = np.mean([equal_depth(counts, rng, depth=40)[0][0] for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, [20, 10, 10, 0], atol=0.2)


def test_equal_seeds_give_equal_counts_and_others_do_not() -> None:
    draws = [equal_depth(section(), np.random.default_rng(seed))[0] for seed in (5, 5, 6)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_depth_predicts_expression_before_and_no_longer_after() -> None:
    counts = section(n_spots=600)
    panel = Panel("all", tuple(f"g{k}" for k in range(counts.shape[1])))
    thinned, kept = equal_depth(counts, np.random.default_rng(0))
    oracle = np.log1p(counts.sum(axis=1))

    def mean_pearson(matrix: np.ndarray, depth: np.ndarray) -> float:
        expression = to_target(Counts(sparse.csr_matrix(matrix), panel.genes), panel, "per_spot")
        return float(np.mean([np.corrcoef(column, depth)[0, 1] for column in expression.T.astype(np.float64)]))

    assert mean_pearson(counts, oracle) > 0.2
    assert abs(mean_pearson(thinned, oracle[kept])) < 0.02


def test_a_section_without_any_molecule_keeps_no_spot() -> None:
    thinned, kept = equal_depth(np.zeros((4, 3), dtype=int), np.random.default_rng(0))
    assert thinned.shape == (0, 3)
    assert not kept.any()
    assert common_depth(np.zeros(4, dtype=int)) == 0


@pytest.mark.parametrize("counts", [np.array([[1, -1]]), np.array([[1.0, 2.0]])], ids=["negative", "fractional"])
def test_what_is_not_a_count_is_refused(counts: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SchemaError, match="non-negative integers"):
        binomial_halves(counts, rng)
    with pytest.raises(SchemaError, match="non-negative integers"):
        equal_depth(counts, rng)


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(SchemaError) as caught:
        equal_depth(np.array([[1, 2]]), np.random.default_rng(0), depth=0)
    assert caught.value.context == {"field": "depth", "found": 0}
