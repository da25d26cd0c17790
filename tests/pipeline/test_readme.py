"""What the README tells people to type works, on a tiny cohort and under quick settings."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gr2st_assets.definitions import defs
from samples.project import ALONE, one_share

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FEW_METHODS = ["--method", "gr2st_ours", "--method", "ridge_m224", "--method", "null_training_mean"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_queries(materialized):
    code = "\n".join(line for block in blocks("sql") for line in block.splitlines() if not line.startswith("--"))
    statements = [statement.strip() for statement in code.split(";") if statement.strip()]
    assert len(statements) == 4
    for statement in statements:
        answer = materialized.sql(statement.replace("demo/", "tiny/"))
        if "not passed" not in statement and "ERBB2" not in statement:  # not every panel has the gene
            assert answer, statement


@pytest.mark.slow
def test_commands(materialized, cohort, tmp_path):
    """Each command as it stands, on the tiny cohort, one fold, quick settings."""
    project = materialized.copy(tmp_path / "home")
    (project.home / "settings").symlink_to(ROOT / "settings")
    (project.home / "my_genes.txt").write_text("EPCAM\nERBB2\nCOL1A1\nCD3D\n")
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("gr2st ")]
    assert len(lines) == 13
    (slide,) = cohort.rglob("A1_HE.jpg")
    for line in lines:
        line = line.replace("path/to/her2st", str(cohort)).replace("her2st", "tiny")
        command = shlex.split(line, comments=True)[1:]
        if command[0] == "predict":
            command = [str(slide) if word == "slide.svs" else word for word in command] + ["--um-per-px", "2.4"]
        if command[0] == "materialize":
            command += [] if "--settings" in command else ["--settings", "settings/quick.yml"]
            command += [] if "--fold" in command or "--cohort" in command else ["--fold", "tiny/patient-A"]
            command += [] if "--method" in command else FEW_METHODS
        project.gr2st(*command, command=ALONE, **one_share())


@pytest.mark.slow
def test_python(cohort, tmp_path):
    (code,) = blocks("python")
    code = code.replace("cohorts/demo", str(cohort))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "demo/A1" in done.stdout


def test_asset_graph_picture_shows_exactly_the_edges_between_groups():
    (picture,) = blocks("mermaid")
    drawn = set()
    for line in picture.splitlines():
        if "-->" in line:
            source, targets = line.split("-->")
            drawn |= {(source.strip(), target.strip()) for target in targets.split("&")}
    graph = defs.resolve_asset_graph()
    real = {
        (parent.path[0], key.path[0]) for key in graph.get_all_asset_keys() for parent in graph.get(key).parent_keys
    }
    assert drawn == {(a, b) for a, b in real if a != b and b != "catalog"}


def test_make_targets_named_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
