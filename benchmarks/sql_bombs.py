"""Queries that would take everything, under the limits that ``gr2st sql`` ships with, an ordinary one beside them.

``python benchmarks/sql_bombs.py CATALOG`` prints how each ended, its seconds from the start of its process to the
refusal and from the query's being handed to it, the largest memory of the process, and the slowest ordinary query
beside it.
"""

import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gr2st_assets import sandbox
from gr2st_assets.sql import QueryError
from samples.sql_statements import BOMBS

ORDINARY = "SELECT count(*) FROM scoreboard"


class _Watched(sandbox._Reader):  # noqa: SLF001 - its last one is made when the query is handed over
    """Remembers, for each thread, when the newest was made."""

    made = threading.local()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.made.at = time.monotonic()


def main() -> None:
    """Measure and print."""
    sandbox._Reader = _Watched  # type: ignore[misc]  # noqa: SLF001
    catalog = sys.argv[1]
    alone = [_timed(catalog, ORDINARY)[0] for _ in range(5)]
    print(f"ordinary query alone: median {statistics.median(alone):.2f} s")
    for name, sql in BOMBS.items():
        beside: list[float] = []
        with _peak() as peak, _asking(catalog, beside):
            seconds, running, ending = _timed(catalog, sql)
        took = f"{seconds:5.2f} s  running {running:5.2f} s  {max(peak) / 1024:5.0f} MiB"
        print(f"{name:12} {took}  beside it max {max(beside):.2f} s  {ending}", flush=True)


def _timed(catalog: str, sql: str) -> tuple[float, float, str]:
    started = _Watched.made.at = time.monotonic()
    try:
        sandbox.ask(catalog, sql)
        ending = "answered"
    except QueryError as error:
        ending = str(error)[:90]
    now = time.monotonic()
    return now - started, now - _Watched.made.at, ending


@contextmanager
def _asking(catalog: str, seconds: list[float]) -> Iterator[None]:
    """Ask the ordinary query again and again, at least once."""
    stop = threading.Event()

    def repeat() -> None:
        while not seconds or not stop.is_set():
            took, _, ending = _timed(catalog, ORDINARY)
            seconds.append(took if ending == "answered" else float("inf"))

    thread = threading.Thread(target=repeat)
    thread.start()
    yield
    stop.set()
    thread.join()


@contextmanager
def _peak() -> Iterator[list[int]]:
    """Resident KiB of every process that answers a query, at its highest as the kernel counts it."""
    seen, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if b"sandbox_child" in (process / "cmdline").read_bytes():
                        status = (process / "status").read_text()
                        seen.extend(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
                except OSError:
                    continue  # it ended meanwhile

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    stop.set()
    thread.join()


if __name__ == "__main__":
    main()
