"""A two-section cohort in the her2st layout, small enough to be read by eye, for tests to damage."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

COUNTS = "data/ST-cnts/{}.tsv.gz"
SPOTS = "data/ST-spotfiles/{}_selection.tsv"
IMAGE = "data/ST-imgs/{}/{}/{}.jpg"

SPOT_TEXT = """\
x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected
3\t2\t3.01\t2.02\t300\t200\t1
4\t2\t4.01\t2.02\t400\t200\t1
3\t3\t3.01\t3.02\t300\t300\t1
4\t3\t4.01\t3.02\t400\t300\t1
"""
COUNT_TEXT = "\tERBB2\tACTB\tKRT18\n4x2\t0\t7\t1\n3x2\t12\t0\t0\n3x3\t0\t0\t5\n"


def write_counts(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0))


def write_spots(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Sections A1 (with an image) and B1 (without), both sound."""
    folder = tmp_path / "cohort"
    for section in ("A1", "B1"):
        write_counts(folder / COUNTS.format(section), COUNT_TEXT)
        write_spots(folder / SPOTS.format(section), SPOT_TEXT)
    image = folder / IMAGE.format("A", "A1", "slide")
    image.parent.mkdir(parents=True)
    image.write_bytes(b"never opened by a reader")
    return folder


@pytest.fixture
def set_counts(cohort: Path) -> Callable[[str | bytes], Path]:
    """Replace the count table of A1, gzipped."""

    def replace(content: str | bytes) -> Path:
        write_counts(cohort / COUNTS.format("A1"), content)
        return cohort

    return replace


@pytest.fixture
def set_spots(cohort: Path) -> Callable[[str], Path]:
    """Replace the spot file of A1."""

    def replace(text: str) -> Path:
        write_spots(cohort / SPOTS.format("A1"), text)
        return cohort

    return replace
