"""Moran's I is that of a direct double loop, and tells smooth maps from random ones."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import AlignmentError
from gr2st_core.evaluation.moran import moran_preservation, morans_i
from gr2st_core.graphs.spatial import radius_edges

GRID = np.stack(np.meshgrid(np.arange(7.0), np.arange(6.0)), axis=-1).reshape(-1, 2)
EDGES = radius_edges(GRID, 1.5)


def by_double_loop(values: np.ndarray, edges: np.ndarray) -> float:
    n, z = len(values), values - values.mean()
    pairs = {(int(r), int(s)) for s, r in edges.T if s != r}
    degree = [sum((i, j) in pairs for j in range(n)) for i in range(n)]
    numerator, total = 0.0, 0.0
    for i in range(n):
        for j in range(n):
            if (i, j) in pairs:
                weight = 1 / degree[i]
                numerator += weight * z[i] * z[j]
                total += weight
    return n / total * numerator / float(z @ z)


def test_equals_a_double_loop():
    values = np.random.default_rng(0).normal(size=(len(GRID), 4)) + GRID[:, :1]
    expected = [by_double_loop(column, EDGES) for column in values.T]
    np.testing.assert_allclose(morans_i(values, EDGES), expected, rtol=0, atol=1e-12)


def test_known_maps():
    checkers = (GRID.sum(axis=1) % 2)[:, None]
    four = radius_edges(GRID, 1.2)
    assert morans_i(checkers, four)[0] == pytest.approx(-1)
    assert morans_i(GRID[:, :1], EDGES)[0] > 0.7
    random = np.random.default_rng(1).normal(size=(len(GRID), 500))
    assert morans_i(random, EDGES).mean() == pytest.approx(-1 / (len(GRID) - 1), abs=0.01)


def test_scale_and_offset_do_not_matter():
    values = np.random.default_rng(2).normal(size=(len(GRID), 3))
    np.testing.assert_allclose(morans_i(5 - 3 * values, EDGES), morans_i(values, EDGES))


def test_constants_and_lonely_spots():
    values = np.column_stack([np.ones(len(GRID)), GRID[:, 0]])
    np.testing.assert_array_equal(np.isnan(morans_i(values, EDGES)), [True, False])
    alone = np.stack([np.arange(len(GRID))] * 2)  # self loops only
    assert np.isnan(morans_i(values, alone)).all()
    with pytest.raises(AlignmentError, match="edges name rows"):
        morans_i(values[:5], EDGES)


def test_an_isolated_spot_is_left_out_of_the_weights():
    values = np.random.default_rng(3).normal(size=(len(GRID), 1))
    kept = EDGES[:, (EDGES != 0).all(axis=0)]
    np.testing.assert_allclose(morans_i(values, kept), [by_double_loop(values[:, 0], kept)])


def test_preservation_compares_where_both_are_defined():
    found = moran_preservation([0.1, 0.2, 0.4, np.nan, 0.3], [0.3, 0.4, 0.8, 0.5, np.nan])
    assert (found.observed, found.predicted) == (pytest.approx(0.7 / 3), pytest.approx(0.5))
    assert found.error == pytest.approx((0.2 + 0.2 + 0.4) / 3)
    assert found.correlation == pytest.approx(1)
    assert found.n_undefined == 2
    nothing = moran_preservation([np.nan], [0.1])
    assert np.isnan([nothing.observed, nothing.error, nothing.correlation]).all()
