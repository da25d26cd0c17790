"""Sections of the lake beside what a champion was trained on, on a small lake."""

import json

import dagster as dg
import pytest

from gr2st_assets.assets.drift import NAME as DRIFT
from gr2st_assets.assets.drift import drift
from gr2st_assets.assets.spot_drift import NAME as SPOT_DRIFT
from gr2st_assets.assets.spot_drift import spot_drift
from gr2st_assets.champions import champions, history
from samples.champion_lake import N_SPOTS, RIDGE, Sections


@pytest.fixture
def lake(sections):
    """Sections beside a champion."""
    return sections


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    return next(e for e in result.get_asset_check_evaluations() if e.check_name == "drift")


def not_compared(result: dg.ExecuteInProcessResult, node: str = "serving__drift") -> str:
    return result.asset_materializations_for_node(node)[0].metadata["not_compared"].value


def test_what_differs_is_named_with_the_section_and_what_does_not_is_left_alone(lake):
    lake.put("d/F1", far=20.0, depth=10.0, pink=0.5)
    result = lake.run(spot_drift, drift)
    assert result.success
    check = check_of(result)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    (failure,) = check.metadata["failures"].value.records
    named = json.loads(failure.data["found"])["examples"]
    assert len(named) == 1
    assert named[0].startswith("d/F1 from c: image 1 > ")
    table = lake.rows(DRIFT)
    assert set(table.champion) == {1}
    assert set(table.model_id) == {champions(history(lake.lake))["c"].contender.model_id}
    assert set(table.left_out) == {"patient"}
    assert (table.n_reference_sections == 3).all()
    far = table[table.section_id == "F1"].set_index("measure")
    assert far.is_drift.to_dict() == {
        "depth": True, "image": True, "predictions": True, "stain_eosin": True, "stain_haematoxylin": False,
    }  # fmt: skip
    assert far.value["image"] == 1.0
    assert far.section_value["depth"] == pytest.approx(1.0, abs=0.1)
    assert far.reference_mean["depth"] == pytest.approx(3.0, abs=0.1)
    assert not table[table.section_id == "L1"].is_drift.any()
    assert set(table[table.is_training].section_id) == {"A1", "B1", "C1"}
    picture = result.asset_materializations_for_node("serving__drift")[0].metadata["picture"].value
    assert "data:image/png;base64" in picture


def test_every_spot_has_a_score_and_its_nearest_training_spot_of_another_patient(lake):
    lake.put("d/F1", far=20.0)
    lake.run(spot_drift, drift)
    table = lake.rows(SPOT_DRIFT)
    assert table.groupby("section_id").size().to_dict() == dict.fromkeys(("A1", "B1", "C1", "F1", "L1"), N_SPOTS)
    assert (table[table.section_id == "F1"].is_above).all()
    assert (table[table.section_id == "F1"]["quantile"] == 1).all()
    own = table[table.is_training]
    assert own.is_above.mean() <= 0.05
    assert (own.nearest_section_id != own.section_id).all()
    assert set(table.nearest_section_id) <= {"A1", "B1", "C1"}


def test_a_second_run_makes_nothing_and_a_changed_section_makes_both_again(lake):
    lake.run(spot_drift, drift)
    before = [lake.lake.require_head(lake.lake.slot(name)).digest for name in (SPOT_DRIFT, DRIFT)]
    again = lake.run(spot_drift, drift)
    for node in ("serving__spot_drift", "serving__drift"):
        assert again.asset_materializations_for_node(node)[0].metadata["reused"].value
    assert [lake.lake.require_head(lake.lake.slot(name)).digest for name in (SPOT_DRIFT, DRIFT)] == before
    lake.put("d/L1", far=20.0)
    changed = lake.run(spot_drift, drift)
    assert not changed.asset_materializations_for_node("serving__drift")[0].metadata["reused"].value
    assert [lake.lake.require_head(lake.lake.slot(name)).digest for name in (SPOT_DRIFT, DRIFT)] != before


def test_a_slide_without_counts_has_no_depth_and_counts_without_an_image_have_only_depth(lake):
    lake.put("d/S1", depth=0)
    lake.put("d/N1", image=False)
    lake.run(spot_drift, drift)
    measures = lake.rows(DRIFT).groupby("section_id").measure.agg(set)
    assert measures["S1"] == {"image", "stain_haematoxylin", "stain_eosin", "predictions"}
    assert measures["N1"] == {"depth"}
    assert "N1" not in set(lake.rows(SPOT_DRIFT).section_id)


def test_predictions_of_another_recipe_are_not_compared_and_the_table_says_so(lake):
    lake.world.put_method(RIDGE, "newer")
    said = not_compared(lake.run(spot_drift, drift))
    assert "predictions are not compared: the newest out-of-fold predictions are not of the champion's recipe" in said
    assert "predictions" not in set(lake.rows(DRIFT).measure)


def test_two_training_sections_have_no_threshold(lake):
    folds = lake.rows("folds/fold_table")
    lake.world.put("folds/fold_table", folds[(folds.fold_id != "c/all") | (folds.patient_id != "C")])
    result = lake.run(spot_drift, drift)
    assert check_of(result).passed
    table = lake.rows(DRIFT)
    assert table.threshold.isna().all()
    assert table.is_drift.isna().all()
    assert not table.is_training.any()
    assert set(table.measure) == {"depth", "predictions", "stain_eosin", "stain_haematoxylin"}
    spots = lake.rows(SPOT_DRIFT)
    assert spots["quantile"].isna().all()
    assert (spots.distance > 0).all()
    assert "2 training sections: too few to leave one out" in not_compared(result, "serving__spot_drift")
    assert "C1" in set(spots.section_id)


def test_without_a_champion_there_are_no_rows_and_the_table_says_why(empty_world):
    bare = Sections(empty_world)
    bare.put("c/A1")
    result = bare.run(spot_drift, drift)
    assert check_of(result).passed
    assert len(bare.rows(DRIFT)) == len(bare.rows(SPOT_DRIFT)) == 0
    assert not_compared(result) == "no cohort has a champion, so there is nothing to compare with"
