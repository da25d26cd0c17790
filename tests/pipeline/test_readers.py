"""Readers of a lake that is being written: no errors, no torn reads, one generation of a fold set."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = Path(__file__).parents[2] / "settings" / "quick.yml"
SECONDS = float(os.environ.get("GR2ST_SOAK_SECONDS", "20"))
DEADLINE_S = 900
QUERY = (
    "select method, profile, fold_id, count(distinct model_id) as models, count(distinct gene) as genes, "
    "count(*) as n, count(distinct section_id || '/' || spot_id) * count(distinct gene) as expected "
    "from predictions group by all"
)
READER = """
import json, sys, time
from pathlib import Path
from gr2st_assets.sql import run_query
answers, faults, panels = 0, [], set()
deadline = time.monotonic() + {deadline}
while not Path({stop!r}).exists() and time.monotonic() < deadline:
    rows = run_query({catalog!r}, {query!r}).table.to_pylist()
    answers += 1
    faults += [row for row in rows if row["models"] != 1 or row["n"] != row["expected"]]
    sets = {{}}
    for row in rows:
        unit = row["fold_id"].split("/")[1].split("-")[0]
        sets.setdefault((row["method"], row["profile"], unit), set()).add(row["genes"])
    faults += [f"two generations in one fold set: {{key}} {{genes}}" for key, genes in sets.items() if len(genes) != 1]
    faults += [] if len(sets) == 12 else [f"{{len(sets)}} fold sets"]
    panels |= {{genes for found in sets.values() for genes in found}}
print(json.dumps({{"answers": answers, "faults": [str(fault) for fault in faults[:5]], "panels": sorted(panels)}}))
"""


def start_python_reader(project, stop):
    code = textwrap.dedent(READER).format(
        deadline=DEADLINE_S, stop=str(stop), catalog=str(project.home / "lake/catalog.duckdb"), query=QUERY
    )
    return start(project, [sys.executable, "-W", "ignore", "-c", code])


def start_command_reader(project, stop):
    ask = f'"{sys.executable}" -W ignore -m gr2st_assets sql "{QUERY}" --format csv'
    lines = f'[ "$({ask} | wc -l)" -gt 12 ] || exit 1; n=$((n+1))'
    script = f'n=0; while [ ! -e "{stop}" ] && [ $SECONDS -lt {DEADLINE_S} ]; do {lines}; done; echo $n'
    return start(project, ["bash", "-c", script])


def start(project, command):
    return subprocess.Popen(
        command,
        cwd=project.home,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_eight_readers_while_sections_and_folds_are_made_again(materialized, tmp_path):

    project = materialized.copy(tmp_path / "home")
    other, stop = tmp_path / "other.yml", tmp_path / "stop"
    other.write_text(QUICK.read_text().replace("n_genes: 60", "n_genes: 50"))
    readers = [start_python_reader(project, stop) for _ in range(4)]
    commands = [start_command_reader(project, stop) for _ in range(4)]
    started, written = time.monotonic(), 0
    try:
        while written < 1 or time.monotonic() - started < SECONDS:
            project.gr2st("materialize", "--settings", str((other, QUICK)[written % 2]))
            written += 1
        time.sleep(5)  # long enough for every reader to see the last generation
        stop.touch()
        outputs = [process.communicate(timeout=120) for process in (*readers, *commands)]
    finally:
        for process in (*readers, *commands):
            if process.poll() is None:
                process.kill()
                process.wait()
    assert [process.returncode for process in (*readers, *commands)] == [0] * 8, outputs
    answers = [json.loads(output) for output, _ in outputs[:4]]
    assert [answer["faults"] for answer in answers] == [[]] * 4
    assert all(answer["answers"] > 1 for answer in answers)
    assert {genes for answer in answers for genes in answer["panels"]} == {50, 60}
    assert all(int(output) > 0 for output, _ in outputs[4:])
