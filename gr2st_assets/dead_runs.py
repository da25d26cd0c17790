"""Runs whose process is gone: marking them failed, and freeing the pool slots they held.

Belongs here: what the daemon's run monitoring does for runs that it launched, for runs of this command. Does not
belong here: launching runs (``runs``).
"""

import os
import platform

import dagster as dg

HOST_TAG, PID_TAG = "gr2st/host", "gr2st/pid"


def process_tags() -> dict[str, str]:
    """Tags that say which process runs a run."""
    return {HOST_TAG: platform.node(), PID_TAG: str(os.getpid())}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of dead processes as failed and free all slots of runs that ended; returns what was done."""
    here = dg.RunsFilter(tags={HOST_TAG: platform.node()}, statuses=[dg.DagsterRunStatus.STARTED])
    done = []
    for run in instance.get_runs(here):
        if not _is_alive(int(run.tags[PID_TAG])):
            instance.report_run_failed(run, "its process is gone")
            done.append(f"run {run.run_id[:8]} marked failed")
    storage = instance.event_log_storage
    for pool in sorted(storage.get_concurrency_keys()):
        for run_id in sorted(storage.get_concurrency_info(pool).active_run_ids):
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                storage.free_concurrency_slots_for_run(run_id)
                done.append(f"slot of pool {pool} freed")
    return done


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process: alive
        return True
    return True
