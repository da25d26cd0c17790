"""The pathologist's labels of the her2st sections reach the spots that they were given to."""

import csv
from pathlib import Path

import pytest

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.records import RawSection

pytestmark = pytest.mark.real

LABELS = "data/ST-pat/lbl/{}_labeled_coordinates.tsv"
LABELLED = {"A1": 348, "F1": 691, "G2": 467}  # rows of the file that have x and y


@pytest.fixture(scope="module")
def sections(shared: Path) -> dict[str, RawSection]:
    reader = Her2stReader()
    entries, faults = reader.entries("her2st", shared / "her2st")
    assert faults == []
    return {entry.key.section_id: reader.read(entry) for entry in entries if entry.key.section_id in {*LABELLED, "B4"}}


@pytest.mark.parametrize("name", LABELLED)
def test_every_spot_with_counts_has_the_label_of_the_file(
    shared: Path, sections: dict[str, RawSection], name: str
) -> None:
    with (shared / "her2st" / LABELS.format(name)).open() as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["x"] != "NA"]
    assert len(rows) == LABELLED[name]
    label_of = {f"{round(float(row['x']))}x{round(float(row['y']))}": row["label"] for row in rows}
    section = sections[name]
    assert section.regions is not None
    assert section.regions.tolist() == [label_of[spot] for spot in section.spot_ids.tolist()]
    assert len(section.regions) == LABELLED[name] - section.n_spots_without_counts


def test_a_section_that_nobody_labelled_has_no_regions(sections: dict[str, RawSection]) -> None:
    assert sections["B4"].regions is None
