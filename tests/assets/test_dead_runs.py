"""Runs of dead processes are marked failed, and what they held is freed."""

import logging
import os
import platform
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._core.test_utils import freeze_time
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration
from dagster._time import get_current_datetime

from gr2st_assets.dead_runs import PROCESS_TAG, end_dead_runs, process_tags


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def started_run(instance, run_id, tags):
    @dg.job
    def nothing():
        pass

    run = instance.create_run_for_job(nothing, run_id=run_id, tags=tags)
    instance.report_engine_event("started", run)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None, level=10, user_message="", run_id=run.run_id, timestamp=0.0, step_key=None,
            job_name="nothing",
            dagster_event=dg.DagsterEvent(event_type_value="PIPELINE_START", job_name="nothing"),
        )
    )  # fmt: skip
    return run.run_id


@pytest.fixture
def run_id():
    return str(uuid.uuid4())


def tags_of(run_id, pid, started="1.00"):
    return {PROCESS_TAG: f"{run_id} {platform.node()} {pid} {started}"}


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_run_of_a_dead_process_is_failed_and_its_slot_freed(instance, run_id):
    started_run(instance, run_id, tags_of(run_id, dead_pid()))
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    storage.claim_concurrency_slot("gpu", run_id, "step")
    assert storage.get_concurrency_info("gpu").active_run_ids == {run_id}
    assert len(end_dead_runs(instance)) == 2
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE
    assert storage.get_concurrency_info("gpu").active_run_ids == set()


def test_a_slot_that_a_dead_run_waited_for_is_free_again(instance, run_id):
    storage, busy, waiting, later = instance.event_log_storage, *(str(uuid.uuid4()) for _ in range(3))
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", busy, "step").is_claimed
    for dead in (run_id, waiting):
        started_run(instance, dead, tags_of(dead, dead_pid()))
        assert not storage.claim_concurrency_slot("gpu", dead, "step").is_claimed
    storage.free_concurrency_slots_for_run(busy)
    assert storage.get_concurrency_info("gpu").assigned_run_ids
    assert not storage.claim_concurrency_slot("gpu", later, "step").is_claimed
    end_dead_runs(instance)
    assert storage.claim_concurrency_slot("gpu", later, "step").is_claimed


def test_a_living_run_keeps_its_place(instance, run_id):
    storage, busy = instance.event_log_storage, str(uuid.uuid4())
    storage.set_concurrency_slots("gpu", 1)
    for living in (busy, run_id):
        started_run(instance, living, process_tags(living))
        storage.claim_concurrency_slot("gpu", living, "step")
    assert end_dead_runs(instance) == []
    info = storage.get_concurrency_info("gpu")
    assert (info.active_run_ids, info.pending_run_ids) == ({busy}, {run_id})


def test_the_daemon_frees_a_slot_of_a_run_that_ended_within_90_seconds(tmp_path, run_id):
    settings = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())
    monitoring = settings["run_monitoring"]
    assert monitoring["enabled"]
    assert monitoring["free_slots_after_run_end_seconds"] + monitoring["poll_interval_seconds"] <= 90
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_monitoring": monitoring}) as instance:
        started_run(instance, run_id, {})
        storage = instance.event_log_storage
        storage.set_concurrency_slots("gpu", 1)
        storage.claim_concurrency_slot("gpu", run_id, "step")
        instance.report_run_failed(instance.get_run_by_id(run_id), "killed")
        daemon = SimpleNamespace(instance=instance)
        for seconds, holders in ((50, {run_id}), (61, set())):
            with freeze_time(get_current_datetime() + timedelta(seconds=seconds)):
                list(execute_concurrency_slots_iteration(daemon, logging.getLogger("daemon")))
            assert storage.get_concurrency_info("gpu").active_run_ids == holders


def test_run_whose_process_number_another_process_has_now_is_failed(instance, run_id):
    started_run(instance, run_id, tags_of(run_id, os.getpid()))
    assert len(end_dead_runs(instance)) == 1
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("tags", [
    pytest.param(process_tags, id="living process"),
    pytest.param(lambda _: tags_of("another run", dead_pid()), id="tags copied from another run"),
    pytest.param(lambda run_id: {PROCESS_TAG: f"{run_id} another-machine 1 1.00"}, id="another machine"),
    pytest.param(lambda _: {}, id="started by the daemon"),
])  # fmt: skip
def test_run_is_left_alone(instance, run_id, tags):
    started_run(instance, run_id, tags(run_id))
    assert end_dead_runs(instance) == []
    assert instance.get_run_by_id(run_id).status == dg.DagsterRunStatus.STARTED
