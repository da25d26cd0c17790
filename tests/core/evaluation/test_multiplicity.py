"""Holm's correction is that of a hand-worked family."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.multiplicity import holm


def test_by_hand():
    # sorted .005 .01 .03 .04: times 4, 3, 2, 1 = .02 .03 .06 .04; the last may not lie below the one before
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_at_most_one_and_never_below_the_raw_value():
    p = np.random.default_rng(0).uniform(size=20)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert adjusted.max() == 1
    np.testing.assert_array_equal(np.argsort(adjusted, kind="stable")[:3], np.argsort(p)[:3])


def test_a_comparison_that_was_not_made_does_not_count():
    np.testing.assert_allclose(holm([0.02, np.nan, 0.04]), [0.04, np.nan, 0.04])
    assert holm([]).shape == (0,)


def test_refuses_what_is_no_p_value():
    with pytest.raises(SchemaError, match="between 0 and 1"):
        holm([0.5, 1.5])
