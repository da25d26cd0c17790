"""Families of comparisons: every method with each reference, corrected together."""

from __future__ import annotations

import numpy as np
import pytest

from gr2st_core.evaluation.bootstrap import DrawnScores
from gr2st_core.evaluation.comparisons import COLUMNS, by_training_patients, compare_with_references
from gr2st_core.evaluation.multiplicity import holm
from gr2st_core.keys import SectionKey


def section(name: str, scores: dict[str, float], seed: int = 0) -> DrawnScores:
    rng = np.random.default_rng(seed)
    draws = {method: score + 0.02 * rng.normal(size=99) for method, score in scores.items()}
    return DrawnScores(SectionKey("c", name), name[0], scores, draws)


SCORES = {"gr2st_ours": 0.2, "ridge_m224": 0.21, "knn_m224": 0.1, "null": 0.0}


def test_all_methods_with_both_references():
    table = compare_with_references([section("A1", SCORES), section("B1", SCORES, 1)], seed=0)
    assert list(table.columns) == list(COLUMNS)
    assert set(zip(table.a, table.b, strict=True)) == {
        (a, b) for b in ("gr2st_ours", "ridge_m224") for a in SCORES if a != b
    }
    for reference, family in table.groupby("b"):
        np.testing.assert_allclose(family.p_holm, holm(family.p_value))
        np.testing.assert_allclose(family.difference, [SCORES[a] - SCORES[reference] for a in family.a])
    knn = table[(table.a == "knn_m224") & (table.b == "gr2st_ours")].iloc[0]
    assert (knn.p_value, knn.p_holm) == pytest.approx((0.02, 0.06))
    assert (knn.n_sections, knn.n_patients, knn.n_draws, knn.sections_above) == (2, 2, 99, 0)


def test_a_method_that_lacks_in_a_section_is_not_compared():
    fewer = {name: score for name, score in SCORES.items() if name != "knn_m224"}
    table = compare_with_references([section("A1", SCORES), section("B1", fewer)], seed=0)
    assert "knn_m224" not in set(table.a)


def test_nothing_to_compare():
    assert compare_with_references([], seed=0).empty
    assert compare_with_references([section("A1", {"gr2st_ours": 0.1})], seed=0).empty
    assert compare_with_references([section("A1", {"knn_m224": 0.1, "null": 0.0})], seed=0).empty
    undefined = dict.fromkeys(SCORES, float("nan"))
    assert compare_with_references([section("A1", undefined)], seed=0).empty


def test_mates_and_strangers_apart_only_where_both_are():
    a, b = section("A1", SCORES), section("B1", SCORES)
    assert by_training_patients({True: [a], False: [b]}) == {"all": [a, b], "mates": [a], "strangers": [b]}
    assert by_training_patients({False: [a, b]}) == {"all": [a, b]}
