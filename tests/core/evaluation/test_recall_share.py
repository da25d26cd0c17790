"""Mates and strangers are compared at equal numbers of training spots."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.recall_share import MIN_SPOTS, recall_arms, recall_share, recall_table
from gr2st_core.keys import SectionKey

B4, C2, C3, C4 = (SectionKey("c", name) for name in ("B4", "C2", "C3", "C4"))
SPOTS = {B4: 283, C2: 187, C3: 180, C4: 184}
PATIENTS = {B4: "B", C2: "C", C3: "C", C4: "C"}


def test_arms_hold_equally_many_spots_of_the_right_patients():
    arms = recall_arms(SPOTS, PATIENTS, seed=0)
    assert [(arm.test, arm.name) for arm in arms] == [(s, n) for s in (C2, C3, C4) for n in ("mates", "strangers")]
    for arm in arms:
        assert arm.n_spots == 283  # all of B4; its own arms do not exist, it has no mate
        assert arm.test not in arm.rows
        assert {PATIENTS[key] for key in arm.rows} == ({"C"} if arm.name == "mates" else {"B"})
        for key, rows in arm.rows.items():
            assert len(set(rows)) == len(rows)
            assert 0 <= rows.min() <= rows.max() < SPOTS[key]
    mates = arms[0].rows
    assert len(mates[C3]) == pytest.approx(283 * 180 / 364, abs=25)


def test_arms_are_seeded_and_do_not_depend_on_order():
    again = recall_arms(dict(reversed(SPOTS.items())), PATIENTS, seed=0)
    other = recall_arms(SPOTS, PATIENTS, seed=1)
    first = recall_arms(SPOTS, PATIENTS, seed=0)
    np.testing.assert_array_equal(again[0].rows[C3], first[0].rows[C3])
    assert len(other[0].rows[C3]) != len(first[0].rows[C3]) or (other[0].rows[C3] != first[0].rows[C3]).any()


def scores() -> pd.DataFrame:
    rows = []
    for section, patient, mates, strangers in (("C2", "C", 0.3, 0.1), ("C3", "C", 0.2, 0.1), ("D1", "D", 0.2, 0.2)):
        for seed in (0, 1):
            wobble = 0.01 if seed else -0.01
            rows += [("c", section, patient, arm, seed, 100, value + wobble)
                     for arm, value in (("mates", mates), ("strangers", strangers))]  # fmt: skip
    return pd.DataFrame(
        rows, columns=["cohort", "section_id", "patient_id", "arm", "seed", "n_training_spots", "pearson"]
    )


def test_share_by_hand_with_patients_of_equal_weight():
    found = recall_share(scores())
    assert found.mates == pytest.approx((0.25 + 0.2) / 2)
    assert found.strangers == pytest.approx((0.1 + 0.2) / 2)
    assert found.difference == pytest.approx(0.075)
    assert found.share == pytest.approx(0.075 / 0.225)
    assert found.sections.section_id.tolist() == ["C2", "C3", "D1"]
    assert found.sections.n_training_spots.tolist() == [100] * 3


def test_no_share_of_a_score_that_is_not_positive():
    table = scores()
    table.loc[table.arm == "mates", "pearson"] = -0.1
    assert np.isnan(recall_share(table).share)


def test_an_unfair_comparison_is_refused():
    table = scores()
    table.loc[(table.arm == "strangers") & (table.section_id == "D1"), "n_training_spots"] = 90
    with pytest.raises(SchemaError, match="the same n_training_spots"):
        recall_share(table)
    with pytest.raises(SchemaError, match="the same seeds"):
        recall_share(scores().query("not (arm == 'mates' and seed == 1)"))
    with pytest.raises(SchemaError, match="once a seed"):
        recall_share(pd.concat([scores(), scores().head(1)]))


def test_a_table_has_one_row_a_method_and_agrees_with_the_share_of_each():
    draws = scores().rename(columns={"seed": "draw"}).assign(panel="p", target="per_spot", seed=0, profile="x")
    worse = draws.assign(method="b", pearson=draws.pearson.where(draws.arm == "mates", 0.0))
    table = recall_table(pd.concat([draws.assign(method="a"), worse], ignore_index=True)).set_index("method")
    expected = recall_share(scores())
    assert table.loc["a", ["mates", "strangers", "difference", "share"]].tolist() == pytest.approx(
        [expected.mates, expected.strangers, expected.difference, expected.share]
    )
    assert table.loc["a", ["sections_above", "n_sections", "n_patients", "n_draws"]].tolist() == [2, 3, 2, 2]
    assert table.loc["b", "share"] == pytest.approx(1)
    assert table.mean_training_spots.tolist() == [100, 100]


def test_too_few_spots_on_either_side_give_no_arms():
    few = {**SPOTS, B4: MIN_SPOTS - 1}
    assert recall_arms(few, PATIENTS, seed=0) == []
    assert len(recall_arms({**SPOTS, B4: MIN_SPOTS}, PATIENTS, seed=0)) == 6
