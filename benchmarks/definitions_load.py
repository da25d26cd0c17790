"""Time of ``dagster definitions validate`` against an empty project's, and what loading the definitions imports.

Runs both in turn, several times, and prints the ratio of the medians: machines are noisy, ratios of one run less so.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "scanpy", "great_expectations", "timm", "torch_geometric", "pandas", "numpy", "upath")


def seconds(module: str, folder: Path, home: Path) -> float:
    """Wall time of one validation."""
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", "-m", module]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1"}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Print medians and their ratio."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "empty_project.py").write_text("import dagster as dg\n\ndefs = dg.Definitions()\n")
        pairs = [
            (seconds("empty_project", folder, folder), seconds("gr2st_assets.definitions", ROOT, folder))
            for _ in range(REPEATS)
        ]
    empty, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"empty project {empty:.2f} s, gr2st_assets {ours:.2f} s, ratio {ours / empty:.2f} (median of {REPEATS})")
    probe = f"import gr2st_assets.definitions, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", probe], check=True, capture_output=True, text=True)
    print(f"heavy modules imported by the definitions: {found.stdout.strip()}")


if __name__ == "__main__":
    main()
