"""Through the daemon: one backfill over sections as a single run, one run per fold partition."""

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
LOCATION = {"repositoryLocationName": "gr2st_assets", "repositoryName": "__repository__"}
BACKFILL = """
mutation($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
RUN = """
mutation($executionParams: ExecutionParams!) {
  launchRun(executionParams: $executionParams) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""


@pytest.fixture(scope="module")
def served(materialized, serve, tmp_path_factory):
    """A copy of the project behind a server; HVG tables and one fold's ridge are gone from it."""
    project = materialized.copy(tmp_path_factory.mktemp("served") / "home")
    shutil.rmtree(project.home / "lake" / "expression" / "hvg_table")
    shutil.rmtree(project.home / "lake" / "models" / "model_ridge_m224" / "cohort=tiny" / "fold=patient-A")
    (project.home / "settings").mkdir()
    (project.home / "settings" / "retrain.yml").write_text("methods: [ridge_color]\n")  # sensors make what it reads
    with serve(project) as server:
        yield project, server


def backfill(dagster, assets, partitions):
    """Launch one backfill over partitions, as the UI does; its runs."""
    selection = [{"path": asset.split("/")} for asset in assets]
    launched = dagster.ask(BACKFILL, backfillParams={"assetSelection": selection, "partitionNames": partitions})
    assert launched["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", launched
    own = {"key": "dagster/backfill", "value": launched["launchPartitionBackfill"]["backfillId"]}
    return dagster.wait_for_runs(lambda run: own in run["tags"])


def launch(dagster, job, assets, *, partition=None, settings=None):
    """Launch one run, as the UI does."""
    experiment = {"resources": {"experiment": {"config": {"settings_file": str(settings)}}}} if settings else {}
    tags = [{"key": "dagster/partition", "value": partition}] if partition else []
    launched = dagster.ask(RUN, executionParams={
        "selector": {
            **LOCATION, "pipelineName": job, "assetSelection": [{"path": asset.split("/")} for asset in assets]
        },
        "runConfigData": json.dumps(experiment),
        "executionMetadata": {"tags": tags},
    })  # fmt: skip
    assert launched["launchRun"]["__typename"] == "LaunchRunSuccess", launched
    own = launched["launchRun"]["run"]["runId"]
    return dagster.wait_for_runs(lambda run: run["runId"] == own)


def assert_one_success(project, runs):
    log = (project.home / "server.log").read_text()[-3000:]
    assert [run["status"] for run in runs] == ["SUCCESS"], log


def test_single_run_backfill_over_sections_and_one_run_per_fold(served, materialized):
    project, dagster = served
    sections = [f"tiny/{name}" for name in ("A1", "A2", "B1", "B2")]
    assert_one_success(project, backfill(dagster, ["expression/hvg_table"], sections))
    ridge = ["models/model_ridge_m224", "predictions/predictions_ridge_m224"]
    assert_one_success(project, launch(dagster, "folds", ridge, partition="tiny/patient-A", settings=QUICK))
    assert project.digests("expression/hvg_table") == materialized.digests("expression/hvg_table")
    assert project.digests("models/model_ridge_m224") == materialized.digests("models/model_ridge_m224")
