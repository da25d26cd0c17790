"""Ranges of partitions shared among processes, so that small networks use all cores.

Belongs here: starting workers, collecting what failed, and the worker itself (``python -m gr2st_assets.worker TASK``,
task and answer in JSON). Does not belong here: Dagster jobs (``launch``).

With a GPU there is one worker, since one card is not shared; without, one for every core, two at most, each with its
share of the threads, and the pool ``gpu`` has a slot for each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg

from gr2st_assets.launch import Task, run_job
from gr2st_assets.project import open_instance

MOST_WORKERS = 2  # each holds torch and a cohort, over a gigabyte


def n_workers() -> int:
    """Processes to use on this machine."""
    has_gpu = Path("/proc/driver/nvidia").exists()
    return 1 if has_gpu else min(MOST_WORKERS, _n_cores())


def _n_cores() -> int:
    """Cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_ranges(instance: dg.DagsterInstance, task: Task, ranges: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Run a job over each range, as many at once as there are workers; returns the partitions that failed.

    Raises
    ------
    RuntimeError
        A worker died or met a defect; the others are ended.
    """
    n_at_once = n_workers()
    instance.event_log_storage.set_concurrency_slots("gpu", n_at_once)
    held = instance.event_log_storage.get_concurrency_info("gpu").claimed_slots
    if n_at_once - len(held) < min(n_at_once, len(ranges)):
        ids = ", ".join(sorted({slot.run_id[:8] for slot in held}))
        sys.stderr.write(f"run {ids} is at work in the pool gpu: waiting for it (make ui shows it)\n")
    if n_at_once == 1:
        return {key: why for part in ranges for key, why in run_job(instance, replace(task, key_range=part)).items()}
    failed: dict[str, str] = {}
    for start in range(0, len(ranges), n_at_once):
        failed.update(_run_together([replace(task, key_range=part) for part in ranges[start : start + n_at_once]]))
    return failed


def _run_together(tasks: Sequence[Task]) -> dict[str, str]:
    workers = [_start(task) for task in tasks]
    failed: dict[str, str] = {}
    try:
        for task, worker in zip(tasks, workers, strict=True):
            answer, _ = worker.communicate()
            if worker.returncode != 0:
                raise RuntimeError(f"a worker of {task.job} ended with {worker.returncode}; its messages are above")
            failed.update(json.loads(answer))
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
    return failed


def _start(task: Task) -> subprocess.Popen[str]:
    # one share of the threads even for a lone worker: sums depend on their number, and bytes must not depend on
    # how many partitions a run happens to have
    threads = str(max(1, _n_cores() // n_workers()))
    return subprocess.Popen(  # noqa: S603 - this very module
        [sys.executable, "-W", "ignore", "-m", "gr2st_assets.worker", json.dumps(asdict(task))],
        stdout=subprocess.PIPE,
        text=True,
        # Numba sets the number of threads that torch uses too, where it comes first.
        env={**os.environ, "OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads},
    )


if __name__ == "__main__":
    found = run_job(open_instance(), Task(**json.loads(sys.argv[1])))
    sys.stdout.write(json.dumps(found))
