"""Cohorts dropped into the inbox of a running instance: no further command, and their predictions can be queried."""

import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageOps

from gr2st_assets.inbox import MARKER

pytestmark = [pytest.mark.slow, pytest.mark.real]

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
PLAN = """
cron: '*/5 * * * *'
methods: [ridge_color, null_training_mean, null_same_place]
settings: settings/quick.yml
"""
SERVING = """
serving:
  methods: [ridge_color]
"""
WAIT_S = 1500
EXPECTED = {"tiny": {"A1", "A2", "B1", "B2"}, "her2st": {"B4", "C4", "C5"}}


def drop(inbox, name, copy):
    """Put a cohort into the inbox as a sender would: the marker last."""
    copy(inbox / name)
    (inbox / name / MARKER).touch()


def copy_real_sections(shared, target):
    for path in sorted((shared / "her2st" / "data").rglob("*")):
        relative = path.relative_to(shared / "her2st")
        if path.is_file() and any(p.partition("_")[0].partition(".")[0] in EXPECTED["her2st"] for p in relative.parts):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / relative)


def one_slide(cohort, target):
    """A slide without counts: a section mirrored, since the same image in two cohorts is refused."""
    target.mkdir(parents=True)
    (image,) = cohort.rglob("B2_HE.jpg")
    ImageOps.mirror(Image.open(image)).save(target / "S1.png")
    (target / "cohort.yml").write_text("um_per_px: 2.4\npitch_um: 200\n")


@pytest.fixture(scope="module")
def arrived(new_project, cohort, shared, serve, tmp_path_factory):
    """A project left alone with a cohort that lay in the inbox and one that came later, and the runs that it made."""
    project = new_project(tmp_path_factory.mktemp("arrived") / "home")
    (project.home / "settings").mkdir()
    (project.home / "settings" / "retrain.yml").write_text(PLAN)
    (project.home / "settings" / "quick.yml").write_text(QUICK.read_text() + SERVING)
    drop(project.home / "inbox", "tiny", lambda target: shutil.copytree(cohort, target))
    drop(project.home / "inbox", "slides", lambda target: one_slide(cohort, target))
    with serve(project) as server:
        drop(project.home / "inbox", "her2st", lambda target: copy_real_sections(shared, target))
        stop = time.monotonic() + WAIT_S
        while not (decided(project) and "SUCCESS" in statuses_of_training(server.runs())):
            assert time.monotonic() < stop, server.runs()
            time.sleep(5)
        runs = server.runs()
    return project, runs


def decided(project):
    """Whether the folds of both cohorts are scored, and a champion predicted the slide, which is the last step."""
    if not (project.home / "lake" / "catalog.duckdb").exists():
        return False
    scored = project.sql("select distinct cohort from scoreboard where method = 'ridge' and split_unit = 'patient'")
    predicted = "select * from slide_predictions where cohort = 'slides' limit 1"
    return {row["cohort"] for row in scored} >= set(EXPECTED) and bool(project.sql(predicted))


def statuses_of_training(runs):
    return {run["status"] for run in runs if run["jobName"] == "retrain"}


def test_every_section_has_features_and_predictions(arrived):
    project, _ = arrived
    for query in (
        "select distinct cohort, section_id from spots",
        "select distinct cohort, section_id from embeddings_color_texture",
        "select distinct cohort, section_id from predictions_ridge_color",
    ):
        rows = project.sql(query)
        found = {name: {row["section_id"] for row in rows if row["cohort"] == name} for name in EXPECTED}
        assert found == EXPECTED, query


def test_the_sections_of_a_cohort_were_made_in_one_run(arrived):
    _, runs = arrived
    features = [run for run in runs if tag(run, "dagster/sensor_name") == "features"]
    ranges = [tag(run, "dagster/asset_partition_range_start") for run in features]
    assert features
    assert len([start for start in ranges if start]) <= 2 * len({*EXPECTED, "slides"})
    assert {run["status"] for run in features} == {"SUCCESS"}


def test_the_schedule_or_a_complete_cohort_started_the_training(arrived):
    _, runs = arrived
    assert "SUCCESS" in statuses_of_training(runs)
    retrained = [run for run in runs if run["jobName"] == "retrain"]
    assert {tag(run, "dagster/schedule_name") or tag(run, "dagster/sensor_name") for run in retrained} <= {
        "retrain_schedule",
        "complete_cohorts",
    }


def test_a_champion_was_decided(arrived):
    project, _ = arrived
    rows = project.sql("select * from champion")
    assert rows


def test_a_slide_of_the_inbox_is_predicted_by_a_champion_without_any_command(arrived):
    project, _ = arrived
    (slide,) = project.sql(
        "select count(distinct spot_id) as n_spots, count(*) filter (predicted is null) as n_missing, "
        "bool_and(reference_cohort in ('tiny', 'her2st')) as by_champions "
        "from slide_predictions where cohort = 'slides'"
    )
    (spots,) = project.sql("select count(*) as n_spots from spots where cohort = 'slides'")
    assert slide == {"n_spots": spots["n_spots"], "n_missing": 0, "by_champions": True}


def test_a_slide_without_its_counts_is_predicted_as_it_was_out_of_fold(arrived, tmp_path):
    project, _ = arrived
    (model,) = project.sql(
        "select distinct model_id from predictions_ridge_color where section_id = 'C5' and fold_id = 'her2st/patient-C'"
    )
    (slide,) = project.sql(
        "select image_path, um_per_px, pitch_um from slides where cohort = 'her2st' and section_id = 'C5'"
    )
    spots = project.sql("select spot_id, pixel_x, pixel_y from spots where cohort = 'her2st' and section_id = 'C5'")
    pd.DataFrame(spots).to_csv(tmp_path / "C5.spots.csv", index=False)
    (image,) = (project.home / "inbox" / "her2st").rglob(slide["image_path"])
    project.gr2st(
        "predict", str(image), "--out", str(tmp_path), "--spots", str(tmp_path / "C5.spots.csv"), "--model",
        model["model_id"], "--um-per-px", repr(slide["um_per_px"]), "--pitch-um", repr(slide["pitch_um"]),
        "--settings", str(QUICK),
    )  # fmt: skip
    (written,) = tmp_path.rglob("predictions.parquet")
    found = pd.read_parquet(written).set_index(["spot_id", "gene"]).predicted
    slot = project.lake.slot(
        "predictions/predictions_ridge_color", cohort="her2st", fold="patient-C", panel="fold_safe",
        target="per_spot", seed=0,
    )  # fmt: skip
    rows = project.lake.read_table(slot).to_pandas()
    expected = rows[rows.section_id == "C5"].set_index(["spot_id", "gene"]).predicted
    assert len(found) == len(expected) > 5_000
    assert (found[expected.index] - expected).abs().max() < 1e-5


def tag(run, key):
    return next((tag["value"] for tag in run["tags"] if tag["key"] == key), None)
