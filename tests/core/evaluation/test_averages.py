"""Sections average to patients, patients to one number, each alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.averages import mean_over_patients, mean_over_sections


def scores() -> pd.DataFrame:
    rows = [
        ("her2st", "B4", "B", "ridge", 0.3),
        ("her2st", "C2", "C", "ridge", 0.1),
        ("her2st", "C3", "C", "ridge", 0.2),
        ("other", "B1", "B", "ridge", 0.9),
        ("her2st", "B4", "B", "knn", 0.5),
        ("her2st", "C2", "C", "knn", np.nan),
    ]
    return pd.DataFrame(rows, columns=["cohort", "section_id", "patient_id", "method", "pearson"])


def test_sections_weigh_alike() -> None:
    table = mean_over_sections(scores(), ["method"], ["pearson"]).set_index("method")
    assert table.loc["ridge", "pearson"] == pytest.approx(1.5 / 4)
    assert table.loc["ridge", ["n_sections", "n_patients"]].tolist() == [4, 3]


def test_patients_weigh_alike_whatever_their_sections() -> None:
    table = mean_over_patients(scores(), ["cohort", "method"], ["pearson"]).set_index(["cohort", "method"])
    assert table.loc[("her2st", "ridge"), "pearson"] == pytest.approx((0.3 + 0.15) / 2)
    assert table.loc[("her2st", "ridge"), ["n_sections", "n_patients"]].tolist() == [3, 2]


def test_equal_patient_ids_of_two_cohorts_stay_apart() -> None:
    table = mean_over_patients(scores(), ["method"], ["pearson"]).set_index("method")
    assert table.loc["ridge", "pearson"] == pytest.approx((0.3 + 0.15 + 0.9) / 3)
    assert table.loc["ridge", "n_patients"] == 3


def test_an_undefined_section_is_left_out_of_its_mean_but_counted() -> None:
    table = mean_over_patients(scores(), ["method"], ["pearson"]).set_index("method")
    assert table.loc["knn", "pearson"] == 0.5
    assert table.loc["knn", "n_sections"] == 2


@pytest.mark.parametrize("mean", [mean_over_sections, mean_over_patients])
def test_row_order_does_not_matter(mean: object) -> None:
    table = mean(scores(), ["method"], ["pearson"])  # type: ignore[operator]
    shuffled = mean(scores().sample(frac=1, random_state=1), ["method"], ["pearson"])  # type: ignore[operator]
    pd.testing.assert_frame_equal(table, shuffled)


def test_a_section_scored_twice_is_refused() -> None:
    twice = pd.concat([scores(), scores().head(1)])
    with pytest.raises(SchemaError, match=r"one row in a group.*B4.*found=1"):
        mean_over_sections(twice, ["method"], ["pearson"])


def test_missing_columns_are_named() -> None:
    with pytest.raises(SchemaError, match=r"field=\['patient_id', 'mse'\]"):
        mean_over_patients(scores().drop(columns="patient_id"), ["method"], ["mse"])
