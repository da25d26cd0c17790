"""Equal depth takes the depth oracle's score away and leaves composition."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.equal_depth import EqualDepthTruth
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.evaluation.oracle import depth_oracle, log_depth
from gr2st_core.expression.targets import to_target
from gr2st_core.types import Counts, Panel

PANEL = Panel("planted", tuple(f"g{k}" for k in range(50)))


def planted() -> tuple[np.ndarray, np.ndarray]:
    """Log composition and counts of 300 spots of very different depth."""
    rng = np.random.default_rng(0)
    composition = 0.8 * rng.normal(size=(300, 1)) * rng.choice([-1, 1], size=50)
    depth = np.exp(rng.normal(size=(300, 1)))
    return composition, rng.poisson(4 * depth * np.exp(composition))


def per_spot(counts: np.ndarray) -> np.ndarray:
    from scipy import sparse

    return to_target(Counts(sparse.csr_matrix(counts), PANEL.genes), PANEL, "per_spot")


def test_the_depth_oracle_is_the_log_of_the_panel_molecules() -> None:
    counts = np.array([[1, 2], [0, 0]])
    np.testing.assert_allclose(log_depth(counts), [np.log(4), 0])
    np.testing.assert_allclose(depth_oracle(counts), [[np.log(4), np.log(4)], [0, 0]])


def test_the_depth_oracle_falls_to_zero() -> None:
    _, counts = planted()
    oracle = depth_oracle(counts)
    before = np.nanmean(pearson_per_gene(per_spot(counts), oracle))
    after = EqualDepthTruth.draw(counts, PANEL, n_thinnings=5).score(oracle)
    assert before > 0.15
    assert abs(np.nanmean(after.pearson)) < 0.04


def test_composition_is_still_found() -> None:
    composition, counts = planted()
    scores = EqualDepthTruth.draw(counts, PANEL, n_thinnings=5).score(composition)
    assert np.nanmean(scores.pearson) > 0.3
    assert scores.n_spots == pytest.approx(270, abs=5)


def test_a_constant_prediction_counts_zero() -> None:
    composition, counts = planted()
    counts[:, 0] = 0
    composition[:, 1] = 1.0
    scores = EqualDepthTruth.draw(counts, PANEL, n_thinnings=2).score(composition)
    assert np.isnan(scores.pearson[[0, 1]]).all()
    assert np.isnan(scores.pearson_zero_filled[0])
    assert scores.pearson_zero_filled[1] == 0


def test_a_section_without_a_panel_molecule_is_undefined() -> None:
    scores = EqualDepthTruth.draw(np.zeros((6, 50), dtype=int), PANEL, n_thinnings=2).score(np.ones((6, 50)))
    assert scores.n_spots == 0
    assert np.isnan(scores.pearson).all()


def test_equal_seeds_give_equal_scores() -> None:
    composition, counts = planted()
    first, again, other = (
        EqualDepthTruth.draw(counts, PANEL, n_thinnings=2, seed=s).score(composition) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.pearson, again.pearson)
    assert not np.array_equal(first.pearson, other.pearson)


def test_another_number_of_spots_is_refused() -> None:
    composition, counts = planted()
    with pytest.raises(AlignmentError, match=r"expected=\(300, 50\), found=\(299, 50\)"):
        EqualDepthTruth.draw(counts, PANEL, n_thinnings=1).score(composition[1:])
