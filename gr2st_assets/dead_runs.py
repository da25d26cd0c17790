"""Runs whose process is gone: marking them failed, and freeing the pool slots they held or waited for.

Belongs here: what the daemon's run monitoring does for runs that it launched, for runs of this command. Does not
belong here: launching runs (``runs``).
"""

import platform

import dagster as dg
import psutil

PROCESS_TAG = "gr2st/process"


def process_tags(run_id: str) -> dict[str, str]:
    """Tags that say which process runs a run.

    They name the run too, since a run that is started again from the UI gets the tags of the first one.
    """
    own = psutil.Process()
    return {PROCESS_TAG: f"{run_id} {platform.node()} {own.pid} {own.create_time():.2f}"}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of dead processes as failed and free all slots of runs that ended; returns what was done.

    A step that waits is given the next free slot, whether or not its run still lives: those of ended runs go too.
    """
    done = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if _has_lost_its_process(run):
            instance.report_run_failed(run, "its process is gone")
            done.append(f"run {run.run_id[:8]} marked failed")
    storage = instance.event_log_storage
    for pool in sorted(storage.get_concurrency_keys()):
        info = storage.get_concurrency_info(pool)
        for run_id in sorted(info.active_run_ids | info.assigned_run_ids | info.pending_run_ids):
            holder = instance.get_run_by_id(run_id)
            if holder is None or holder.is_finished:
                storage.free_concurrency_slots_for_run(run_id)
                done.append(f"place in pool {pool} freed")
    return done


def _has_lost_its_process(run: dg.DagsterRun) -> bool:
    """Whether this machine's command started the run and its process has ended since, whoever has its number now."""
    run_id, _, process = run.tags.get(PROCESS_TAG, "").partition(" ")
    node, _, number = process.partition(" ")
    if run_id != run.run_id or node != platform.node():
        return False
    pid, started = number.split()
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
