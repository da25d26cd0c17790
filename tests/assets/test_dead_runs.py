"""Runs of dead processes are marked failed, and what they held is freed."""

import platform
import subprocess
import sys

import dagster as dg
import pytest

from gr2st_assets.dead_runs import HOST_TAG, PID_TAG, end_dead_runs, process_tags


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def started_run(instance, tags):
    @dg.job
    def nothing():
        pass

    run = instance.create_run_for_job(nothing, tags=tags)
    instance.report_engine_event("started", run)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None, level=10, user_message="", run_id=run.run_id, timestamp=0.0, step_key=None,
            job_name="nothing",
            dagster_event=dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="nothing"),
        )
    )  # fmt: skip
    return run.run_id


def dead_pid() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def test_run_of_a_dead_process_is_failed_and_its_slot_freed(instance):
    run_id = started_run(instance, {HOST_TAG: platform.node(), PID_TAG: dead_pid()})
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    storage.claim_concurrency_slot("gpu", run_id, "step")
    assert storage.get_concurrency_info("gpu").active_run_ids == {run_id}
    assert len(end_dead_runs(instance)) == 2
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE
    assert storage.get_concurrency_info("gpu").active_run_ids == set()


def test_run_of_a_living_process_is_left_alone(instance):
    run_id = started_run(instance, process_tags())
    assert end_dead_runs(instance) == []
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.STARTED
