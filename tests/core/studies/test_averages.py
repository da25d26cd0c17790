"""Averages of studies against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from gr2st_core.errors import SchemaError
from gr2st_core.studies.averages import average_studies


def rows(**columns) -> pd.DataFrame:
    """Two settings in three sections; the second is of another patient, in whose fold the base's setting is another."""
    frame = pd.DataFrame(
        {
            "cohort": "toy",
            "split_unit": "section",
            "panel": "p",
            "target": "per_spot",
            "seed": 0,
            "study": "sensitivity",
            "parameter": "top_k",
            "setting": ["50"] * 3 + ["200"] * 3,
            "value": [50.0] * 3 + [200.0] * 3,
            "is_base": [False, True, False, True, False, True],
            "section_id": ["A1", "B1", "A2"] * 2,
            "patient_id": ["A", "B", "A"] * 2,
            "pearson": [0.1, 0.5, 0.3, 0.2, 0.4, 0.3],
            "pearson_base": [0.2, 0.5, 0.3] * 2,
        }
    )
    return frame.assign(**columns)


def test_differences_are_paired_by_section() -> None:
    table = average_studies(rows()).set_index("setting")
    fifty, all_of_it = table.loc["50"], table.loc["200"]
    assert fifty.pearson == pytest.approx(0.3)
    assert fifty.difference == pytest.approx(-0.1 / 3)
    assert (fifty.difference_min, fifty.difference_max) == (pytest.approx(-0.1), 0)
    assert (fifty.pearson_min, fifty.pearson_max) == (0.1, 0.5)
    assert all_of_it.difference == pytest.approx(-0.1 / 3)
    assert table.sections_below.tolist() == [1, 1]
    assert table.sections_of_base.to_dict() == {"50": 1, "200": 2}
    assert table["value"].to_dict() == {"50": 50, "200": 200}
    assert table.n_sections.tolist() == [3, 3]
    assert table.n_patients.tolist() == [2, 2]


def test_an_undefined_score_is_left_out_and_never_worse() -> None:
    table = average_studies(rows(pearson=[np.nan, 0.5, 0.3, np.nan, np.nan, np.nan])).set_index("setting")
    assert table.difference.loc["50"] == 0
    assert np.isnan(table.difference.loc["200"])
    assert table.sections_below.tolist() == [0, 0]


def test_an_ablation_has_no_number() -> None:
    table = average_studies(rows(study="ablation", parameter="retrieval", setting="without", value=np.nan).iloc[:3])
    assert table["value"].isna().tolist() == [True]


def test_a_section_counts_once() -> None:
    with pytest.raises(SchemaError):
        average_studies(rows(section_id="A1"))
