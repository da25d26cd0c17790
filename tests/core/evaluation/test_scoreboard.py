"""The scoreboard averages section scores, and keeps what is undefined undefined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gr2st_core.evaluation.scoreboard import AVERAGED, GROUP, scoreboard

PLACE = {"cohort": "c", "split_unit": "section", "panel": "p", "target": "per_spot", "seed": 0}


def scores() -> pd.DataFrame:
    rows = [
        {"section_id": section, "patient_id": section[0], "patient_in_training": known, "method": method,
         "pearson": pearson, "gr2st_share": share}
        for section, known, pearson, share in (("A1", True, 0.1, 0.0), ("A2", True, 0.2, 0.3), ("B1", False, 0.6, 0.6))
        for method, share in (("blend", share), ("ridge", np.nan))
    ]  # fmt: skip
    rest = {name: 0.5 for name in AVERAGED if name not in ("pearson", "gr2st_share")}
    return pd.DataFrame(rows).assign(**PLACE, **rest, profile="x", n_undefined=1)


def test_sections_and_patients_are_averaged_for_all_for_mates_and_for_strangers() -> None:
    board = scoreboard(scores()).set_index(["method", "training_patients"])
    assert board.loc["ridge"].pearson.to_dict() == pytest.approx({"all": 0.3, "mates": 0.15, "strangers": 0.6})
    assert board.loc[("ridge", "all"), "pearson_patients"] == pytest.approx((0.15 + 0.6) / 2)
    assert board.loc[("ridge", "all"), ["pearson_min", "pearson_max", "n_undefined"]].tolist() == [0.1, 0.6, 3]
    assert not scoreboard(scores()).duplicated(GROUP).any()


def test_the_share_of_gr2st_is_averaged_with_its_zeros_and_undefined_for_other_methods() -> None:
    board = scoreboard(scores()).set_index(["method", "training_patients"]).gr2st_share
    assert board["blend", "all"] == pytest.approx(0.3)
    assert board["blend", "mates"] == pytest.approx(0.15)
    assert board["ridge"].isna().all()
