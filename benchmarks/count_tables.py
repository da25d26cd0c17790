"""Parsing the real count tables: CPU time of the project's reader against that of ``pandas.read_csv``.

Both parse every table in turn, on one thread, in this one process; the totals and their ratio are printed. What the
reader checks besides (whole numbers in range, names that are unique) is in its time.

    python benchmarks/count_tables.py
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import Faults
from gr2st_core.settings import DEFAULT_LIMITS

SHARED = Path(os.environ.get("GR2ST_SHARED", Path(__file__).parents[2] / "shared"))


def with_reader(path: Path) -> int:
    """Parse one table with the reader; give the sum of its counts."""
    faults = Faults()
    _, counts = read_count_table(path, faults, DEFAULT_LIMITS)
    faults.raise_any("a count table has faults")
    return int(counts.totals().sum())


def with_pandas(path: Path) -> int:
    """Parse one table with pandas; give the sum of its counts."""
    return int(pd.read_csv(path, sep="\t", index_col=0).to_numpy().sum())


def main() -> None:
    """Print both times and their ratio; both must have read the same molecules."""
    paths = sorted((SHARED / "her2st/data/ST-cnts").glob("*.tsv.gz"))
    parsers: dict[str, Callable[[Path], int]] = {"ours": with_reader, "pandas": with_pandas}
    seconds, molecules = dict.fromkeys(parsers, 0.0), dict.fromkeys(parsers, 0)
    for path in paths:
        for name, parse in parsers.items():
            started = time.process_time()
            molecules[name] += parse(path)
            seconds[name] += time.process_time() - started
    if molecules["ours"] != molecules["pandas"]:
        raise SystemExit(f"the parsers disagree: {molecules}")
    print(f"{len(paths)} count tables, {molecules['ours']} molecules, CPU seconds, one thread")
    print(
        f"pandas {seconds['pandas']:.1f}, ours {seconds['ours']:.1f}, ratio {seconds['ours'] / seconds['pandas']:.2f}"
    )


if __name__ == "__main__":
    main()
