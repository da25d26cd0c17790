"""A spot's dominant class follows the published order and tie rule."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.errors import SchemaError
from gr2st_core.types import CellTypes


def types_of(rows: list[list[float]]) -> CellTypes:
    return CellTypes(CLASSES, np.array(rows), source="image", method="hovernet")


def test_the_largest_share_wins_and_codes_follow_the_published_order() -> None:
    assert CLASSES == ("nolabe", "necros", "neopla", "inflam", "connec", "no-neo")
    np.testing.assert_array_equal(dominant_class(types_of(np.eye(6).tolist())), np.arange(6))


def test_ties_go_to_the_first_class_and_unknown_spots_to_nolabe() -> None:
    rows = [[0, 0, 0.5, 0, 0.5, 0], [0, 0, 0, 0.4, 0.2, 0.4], [np.nan] * 6]
    np.testing.assert_array_equal(dominant_class(types_of(rows)), [2, 3, 0])


def test_other_columns_are_refused() -> None:
    types = CellTypes(("neopla", "inflam"), np.array([[0.5, 0.5]]), source="image", method="other")
    with pytest.raises(SchemaError) as caught:
        dominant_class(types)
    assert caught.value.context["found"] == ("neopla", "inflam")
