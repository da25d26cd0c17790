"""Principal components are those of standardised training features, in one fixed form."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from gr2st_core.models.linear import fit_projection


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d)) + 5).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(60, 9), (20, 40)])
def test_components_are_those_of_a_reference_implementation(n: int, d: int) -> None:
    x = rows(n, d)
    z = (x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
    expected = PCA(5, svd_solver="full").fit_transform(z)
    found = fit_projection(x, 5)(x)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-3)


@pytest.mark.parametrize(("n", "d"), [(60, 9), (20, 40)])
def test_the_largest_loading_of_a_component_is_positive(n: int, d: int) -> None:
    x = rows(n, d)
    loadings = fit_projection(x, 4).basis * x.std(axis=0)[:, None]
    assert (loadings[np.abs(loadings).argmax(axis=0), range(4)] > 0).all()


def test_no_more_components_than_directions_that_vary() -> None:
    x = rows(30, 6)
    x[:, 5] = 2 * x[:, 4] + 1
    assert fit_projection(x, 100).basis.shape == (6, 5)
    assert fit_projection(rows(4, 6), 100).basis.shape == (6, 3)


def test_a_feature_that_was_constant_in_training_is_never_read() -> None:
    x = rows(30, 6)
    x[:, 2] = 3.5
    projection = fit_projection(x, 6)
    moved = x.copy()
    moved[:, 2] = -100
    np.testing.assert_array_equal(projection(x), projection(moved))


def test_features_without_any_spread_give_no_component() -> None:
    assert fit_projection(np.ones((5, 3), dtype=np.float32), 4).basis.shape == (3, 0)
