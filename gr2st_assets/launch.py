"""One job over one range of partitions, in this process.

Belongs here: executing a job on the project's instance and telling which partitions failed. Does not belong here:
which ranges (``runs``), sharing them among processes (``worker``).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from gr2st_assets.dead_runs import process_tags
from gr2st_assets.definitions import defs

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class Task:
    """What one run does.

    Attributes
    ----------
    job
        Name of a job.
    names
        Assets of the job to run; None for all.
    experiment
        Configuration of that resource; empty for a job that does not use it.
    key_range
        First and last partition, or None.
    """

    job: str
    names: Sequence[str] | None = None
    experiment: Mapping[str, Any] = field(default_factory=dict)
    key_range: Sequence[str] | None = None

    @property
    def tags(self) -> dict[str, str]:
        """The range as Dagster takes it."""
        return {RANGE_START: self.key_range[0], RANGE_END: self.key_range[1]} if self.key_range else {}


def run_job(instance: dg.DagsterInstance, task: Task) -> dict[str, str]:
    """Run one job once, over a range of partitions or over none.

    Returns
    -------
    Partitions that failed, with the errors of the step that said so.

    Raises
    ------
    RuntimeError
        A step failed otherwise than by refusing partitions: a defect.
    """
    resources = {"resources": {"experiment": {"config": dict(task.experiment)}}} if task.experiment else {}
    run_id = str(uuid.uuid4())
    result = defs.resolve_job_def(task.job).execute_in_process(
        run_config={**resources, "loggers": {"progress": {"config": {}}}},
        instance=instance,
        run_id=run_id,
        asset_selection=None if task.names is None else [dg.AssetKey(name.split("/")) for name in task.names],
        tags={**process_tags(run_id), **task.tags},
        raise_on_error=False,
    )
    failed: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            failed.update(_failed_partitions(event))
    if not result.success and not failed:
        raise RuntimeError(f"run {result.run_id} of {task.job} failed; its log in the UI says why (make ui)")
    return failed


def _failed_partitions(event: dg.DagsterEvent) -> dict[str, str]:
    """Partitions named by a failure of ``steps.run_step``; any other failure is a defect and is raised."""
    data = event.step_failure_data
    if data.user_failure_data is None or "failed_partitions" not in data.user_failure_data.metadata:
        message = data.error.to_string() if data.error else event.message
        raise RuntimeError(f"step {event.step_key} failed\n{message}")
    keys = data.user_failure_data.metadata["failed_partitions"].value
    return dict.fromkeys(keys, data.user_failure_data.description or "")
