"""Through the daemon: one backfill over all sections as a single run, and one run per fold partition."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

START_S, RUN_S = 180, 420
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
RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"


class Server:
    """``dagster dev`` on loopback, over one project."""

    def __init__(self, project) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        home = project.home / ".dagster_home"
        self.log = (project.home / "server.log").open("w")
        command = ["dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "dagster"), *command],
            cwd=project.home, env={**project.environment, "DAGSTER_HOME": str(home), "OMP_NUM_THREADS": "1"},
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def ask(self, query: str, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def wait_until_up(self) -> None:
        stop = time.monotonic() + START_S
        while time.monotonic() < stop:
            try:
                if self.ask("{ version }"):
                    return
            except OSError:
                time.sleep(1)
        raise TimeoutError("the server did not answer")

    def wait_for_runs(self, known: set[str]) -> list[dict]:
        """Wait until runs beside the known ones have all ended."""
        stop = time.monotonic() + RUN_S
        while time.monotonic() < stop:
            runs = [r for r in self.ask(RUNS)["runsOrError"]["results"] if r["runId"] not in known]
            if runs and all(run["status"] in ("SUCCESS", "FAILURE", "CANCELED") for run in runs):
                return runs
            time.sleep(2)
        raise TimeoutError(f"runs did not end: {runs}")

    def known(self) -> set[str]:
        return {run["runId"] for run in self.ask(RUNS)["runsOrError"]["results"]}

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


@pytest.fixture
def server(materialized, tmp_path):
    project = materialized.copy(tmp_path / "home")
    # what the daemon makes anew: HVG tables of all sections, one fold's ridge
    import shutil

    shutil.rmtree(project.home / "lake" / "expression" / "hvg_table")
    shutil.rmtree(project.home / "lake" / "models" / "model_ridge_m224" / "cohort=tiny" / "fold=patient-A")
    server = Server(project)
    try:
        server.wait_until_up()
        yield project, server
    finally:
        server.close()


def test_single_run_backfill_over_sections_and_one_run_per_fold(server, materialized):
    project, dagster = server
    known = dagster.known()
    launched = dagster.ask(
        BACKFILL,
        backfillParams={
            "assetSelection": [{"path": ["expression", "hvg_table"]}],
            "partitionNames": [f"tiny/{name}" for name in ("A1", "A2", "B1", "B2")],
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    runs = dagster.wait_for_runs(known)
    assert [run["status"] for run in runs] == ["SUCCESS"], (project.home / "server.log").read_text()[-3000:]

    known = dagster.known()
    quick = str(Path(__file__).parents[2] / "settings" / "quick.yml")
    launched = dagster.ask(
        RUN,
        executionParams={
            "selector": {**LOCATION, "pipelineName": "folds", "assetSelection": [
                {"path": ["models", "model_ridge_m224"]}, {"path": ["predictions", "predictions_ridge_m224"]},
            ]},
            "runConfigData": json.dumps({"resources": {"experiment": {"config": {"settings_file": quick}}}}),
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "tiny/patient-A"}]},
        },
    )["launchRun"]  # fmt: skip
    assert launched["__typename"] == "LaunchRunSuccess", launched
    runs = dagster.wait_for_runs(known)
    assert [run["status"] for run in runs] == ["SUCCESS"], (project.home / "server.log").read_text()[-3000:]

    assert project.digests("expression/hvg_table") == materialized.digests("expression/hvg_table")
    assert project.digests("models/model_ridge_m224") == materialized.digests("models/model_ridge_m224")
