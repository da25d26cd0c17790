"""Ranges of partitions shared among processes."""

import uuid

import dagster as dg

from gr2st_assets import worker
from gr2st_assets.launch import Task


def test_whoever_waits_for_another_run_says_so(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(worker, "n_workers", lambda: 1)
    monkeypatch.setattr(worker, "run_job", lambda _, task: {task.key_range[0]: "refused"})
    holder = str(uuid.uuid4())
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert worker.run_ranges(instance, Task("folds"), [("a", "b")]) == {"a": "refused"}
        assert capsys.readouterr().err == ""
        instance.event_log_storage.claim_concurrency_slot("gpu", holder, "step")
        worker.run_ranges(instance, Task("folds"), [("a", "b")])
    assert f"run {holder[:8]} is at work" in capsys.readouterr().err
