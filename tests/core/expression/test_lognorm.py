"""Depth normalisation for scanpy keeps order, composition and silence."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse

from gr2st_core.expression.lognorm import log_normalise, quiet_scanpy
from gr2st_core.types import Counts


def test_filled_spots_are_scaled_to_the_median_total_and_empty_ones_stay_empty() -> None:
    counts = Counts(sparse.csr_matrix(np.array([[1, 1], [0, 4], [0, 0], [5, 5]])), ("b", "a"))
    data = log_normalise(counts)
    assert list(data.var_names) == ["b", "a"]
    np.testing.assert_allclose(np.expm1(data.X.toarray()), [[2, 2], [0, 4], [0, 0], [2, 2]])


def test_warnings_are_silenced_inside_the_block_only() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet_scanpy():
            warnings.warn("inside", stacklevel=1)
        warnings.warn("outside", stacklevel=1)
    assert [str(one.message) for one in caught] == ["outside"]
