"""Nuclei are counted per spot, whatever form the export has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES, dominant_class
from gr2st_core.cells.hovernet import read_hovernet
from gr2st_core.errors import AlignmentError, MissingArtifactError, SchemaError

SPOTS = np.array(["10x14", "10x15", "11x14"])
NUCLEI = {"10x14": ["neopla"] * 3 + ["connec"], "10x15": [], "11x14": ["inflam", "connec"]}
EXPECTED = [[0, 0, 0.75, 0, 0.25, 0], [np.nan] * 6, [0, 0, 0, 0.5, 0.5, 0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for spot, names in NUCLEI.items():
        rows = [f"{k}.5\t{k}\t\t{name}\t-1" for k, name in enumerate(names)]
        (tmp_path / f"{spot}.tsv").write_text("\n".join(["x\ty\tclass\tname\tcolor", *rows]), encoding="utf-8")
    return tmp_path


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = ["spot_id\tx\tname", *(f"{spot}\t0\t{name}" for spot, name in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_folder_of_tables_gives_shares_and_nan_without_nuclei(folder: Path) -> None:
    types = read_hovernet(folder, SPOTS)
    assert (types.classes, types.source, types.method) == (CLASSES, "image", "hovernet")
    np.testing.assert_array_equal(types.proportions, EXPECTED)
    np.testing.assert_array_equal(dominant_class(types), [2, 0, 3])


def test_one_table_gives_the_same_and_ignores_other_spots(tmp_path: Path) -> None:
    rows = [(spot, name) for spot, names in reversed(NUCLEI.items()) for name in names]
    path = write_table(tmp_path / "nuclei.tsv", [*rows, ("99x99", "necros")])
    np.testing.assert_array_equal(read_hovernet(path, SPOTS).proportions, EXPECTED)


def test_rows_follow_the_spots_asked_for(folder: Path) -> None:
    np.testing.assert_array_equal(read_hovernet(folder, SPOTS[::-1]).proportions, EXPECTED[::-1])


def test_spots_without_a_table_are_listed(folder: Path) -> None:
    with pytest.raises(MissingArtifactError) as caught:
        read_hovernet(folder, np.array(["10x14", "8x8", "../10x14"]))
    assert caught.value.context == {"file": folder, "n": 2, "found": ["8x8", "../10x14"]}


def test_a_table_of_another_section_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "nuclei.tsv", [("99x99", "necros")])
    with pytest.raises(AlignmentError) as caught:
        read_hovernet(path, SPOTS)
    assert caught.value.context == {"file": path, "found": "99x99"}


def test_an_absent_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="not found"):
        read_hovernet(tmp_path / "none", SPOTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks columns"),
        ("x\ty\tclass\n1\t2\tneopla", "lacks columns"),
        ("x\tname\n1\ttumour", "unknown class"),
        ("x\ty\tname\n1", "unknown class"),
        ('x\tname\n1\t"neopla', "not a tab-separated table"),
    ],
    ids=["empty", "no name", "unknown name", "short row", "open quote"],
)
def test_faults_of_one_spots_table_name_its_file(folder: Path, content: str, message: str) -> None:
    (folder / "10x15.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(SchemaError, match=message) as caught:
        read_hovernet(folder, SPOTS)
    assert caught.value.context["file"] == folder / "10x15.tsv"
