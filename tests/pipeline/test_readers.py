"""Readers of a lake that is being written: no errors, no torn reads, one generation of a fold set."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
SECONDS = float(os.environ.get("GR2ST_SOAK_SECONDS", "20"))
LEAST_GENERATIONS = 2
MADE_AGAIN = ("--method", "gr2st_ours_m224", "--method", "ridge_m224", "--method", "null_training_mean")
QUERY = (
    "select method, profile, fold_id, count(distinct model_id) as models, count(distinct gene) as genes, "
    "count(*) as n, count(distinct section_id || '/' || spot_id) * count(distinct gene) as expected "
    "from predictions group by all"
)
READER = """
import json, subprocess, sys, time
from pathlib import Path
from gr2st_assets.sql import run_query

way, catalog, query, stop, n_methods = sys.argv[1:]
command = [sys.executable, "-W", "ignore", "-m", "gr2st_assets", "sql", query, "--format", "json"]
command += ["--seconds", "120", "--memory", "4096"]
answers, faults, panels, deadline = 0, [], set(), time.monotonic() + 900

def ask():
    if way == "python":
        return run_query(catalog, query).table.to_pylist()
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

while not Path(stop).exists() and time.monotonic() < deadline:
    time.sleep(2)
    rows = ask()
    answers += 1
    faults += [row for row in rows if row["models"] != 1 or row["n"] != row["expected"]]
    sets = {}
    for row in rows:
        unit = row["fold_id"].split("/")[1].split("-")[0]
        sets.setdefault((row["method"], row["profile"], unit), set()).add(row["genes"])
    faults += [f"two generations in one fold set: {key} {genes}" for key, genes in sets.items() if len(genes) != 1]
    faults += [] if len(sets) == 2 * int(n_methods) else [f"{len(sets)} fold sets"]
    panels |= {genes for found in sets.values() for genes in found}
print(json.dumps({"answers": answers, "faults": [str(fault) for fault in faults[:5]], "panels": sorted(panels)}))
"""


def start_reader(project, way, stop):
    """Start a reader that leaves the writer the cores: eight eager ones would take both."""
    catalog = project.home / "lake" / "catalog.duckdb"
    return subprocess.Popen(
        ["nice", "-n", "10", sys.executable, "-W", "ignore", "-c", READER, way, str(catalog), QUERY, str(stop),
         str(len(project.methods))],
        cwd=project.home, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_eight_readers_while_sections_and_folds_are_made_again(materialized, tmp_path):
    project = materialized.copy(tmp_path / "home")
    other, stop = tmp_path / "other.yml", tmp_path / "stop"
    # another stain makes the sections' features again, another panel the folds
    other.write_text(QUICK.read_text().replace("n_genes: 60", "n_genes: 50") + "images:\n  stain: reinhard\n")
    readers = [start_reader(project, way, stop) for way in ("python", "command") for _ in range(4)]
    started, written = time.monotonic(), 0
    try:
        while written < LEAST_GENERATIONS or time.monotonic() - started < SECONDS:
            project.materialize(*MADE_AGAIN, settings=(other, QUICK)[written % 2], workers=True)
            written += 1
        time.sleep(5)  # long enough for every reader to see the last generation
        stop.touch()
        outputs = [process.communicate(timeout=120) for process in readers]
    finally:
        for process in readers:
            if process.poll() is None:
                process.kill()
                process.wait()
    assert [process.returncode for process in readers] == [0] * 8, outputs
    answers = [json.loads(output) for output, _ in outputs]
    assert [answer["faults"] for answer in answers] == [[]] * 8
    assert all(answer["answers"] > 1 for answer in answers)
    assert {genes for answer in answers for genes in answer["panels"]} == {50, 60}
