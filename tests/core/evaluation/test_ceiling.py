"""The noise ceiling bounds what a predictor of the true rates reaches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.evaluation.ceiling import noise_ceiling
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.types import Counts, Panel

N_GENES = 60
PANEL = Panel("planted", tuple(f"g{k}" for k in range(N_GENES)))


def counts_of(matrix: np.ndarray) -> Counts:
    return Counts(sparse.csr_matrix(matrix.astype(np.int64)), PANEL.genes)


def planted(seed: int, spread: float = 0.6, depth_spread: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rates and counts of 400 spots."""
    rng = np.random.default_rng(seed)
    depth = np.exp(depth_spread * rng.normal(size=(400, 1)))
    rates = 3 * depth * np.exp(spread * rng.normal(size=(400, N_GENES)))
    return rates, rng.poisson(rates)


def test_the_ceiling_is_just_above_what_the_expected_expression_reaches() -> None:
    rates, drawn = planted(0)
    rng = np.random.default_rng(9)
    again = [to_target(counts_of(rng.poisson(rates)), PANEL, "per_spot") for _ in range(40)]
    reached = pearson_per_gene(to_target(counts_of(drawn), PANEL, "per_spot"), np.mean(again, axis=0)).mean()
    ceiling = noise_ceiling(counts_of(drawn), PANEL, "per_spot", n_thinnings=10)
    assert reached < ceiling.raw < reached + 0.07


def test_noise_alone_shows_the_floor_that_clipped_roots_have() -> None:
    _, drawn = planted(1, spread=0.0)
    floor = 0.58 / 400**0.25
    assert noise_ceiling(counts_of(drawn), PANEL, "per_spot", n_thinnings=10).raw == pytest.approx(floor, abs=0.02)


def test_depth_alone_leaves_nothing_once_depth_is_given() -> None:
    _, drawn = planted(2, spread=0.0, depth_spread=1.0)
    ceiling = noise_ceiling(counts_of(drawn), PANEL, "per_gene_legacy", n_thinnings=10)
    assert ceiling.raw > 0.6
    assert ceiling.given_depth < 0.25


def test_constant_genes_are_counted_and_left_out() -> None:
    _, drawn = planted(3)
    reference = noise_ceiling(counts_of(drawn), PANEL, "per_gene_legacy", n_thinnings=3)
    drawn[:, 5] = 0
    ceiling = noise_ceiling(counts_of(drawn), PANEL, "per_gene_legacy", n_thinnings=3)
    assert ceiling.n_undefined == 1
    assert ceiling.raw == pytest.approx(reference.raw, abs=0.02)
    assert np.isfinite(ceiling.given_depth)


def test_full_transcriptome_depth_reaches_the_ceiling_of_cp10k() -> None:
    _, drawn = planted(4)
    other = np.random.default_rng(5).poisson(2000, size=(400, 2))
    whole = Counts(sparse.csr_matrix(np.hstack([drawn, other])), (*PANEL.genes, "x", "y"))
    with_rest = noise_ceiling(whole, PANEL, "cp10k", n_thinnings=3)
    merged = Counts(sparse.csr_matrix(np.column_stack([drawn, other.sum(axis=1)])), (*PANEL.genes, "z"))
    assert noise_ceiling(merged, PANEL, "cp10k", n_thinnings=3) == with_rest
    assert with_rest != noise_ceiling(counts_of(drawn), PANEL, "cp10k", n_thinnings=3)


def test_equal_seeds_give_equal_ceilings() -> None:
    counts = counts_of(planted(6)[1])
    first, again, other = (noise_ceiling(counts, PANEL, "per_spot", n_thinnings=2, seed=s) for s in (1, 1, 2))
    assert first == again != other
