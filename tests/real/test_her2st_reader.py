"""The her2st sections read as their README says."""

from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.registry import find_reader

pytestmark = pytest.mark.real

# section: spots, spots of the file without counts, genes, median molecules, most molecules
VERIFIED = {
    "B4": (283, 1, 15289, 648, 33257),
    "C2": (187, 0, 15706, 8508, 36331),
    "C3": (180, 2, 15821, 9549, 35260),
    "C4": (184, 3, 15842, 10191, 47186),
    "C5": (181, 2, 15721, 10015, 33415),
}


@pytest.fixture(scope="module")
def entries(shared: Path) -> dict[str, SectionEntry]:
    folder = shared / "her2st"
    listed, faults = find_reader(folder).entries("her2st", folder)
    assert faults == []
    return {entry.key.section_id: entry for entry in listed}


@pytest.fixture(scope="module")
def sections(entries: dict[str, SectionEntry]) -> dict[str, RawSection]:
    return {name: Her2stReader().read(entry) for name, entry in entries.items()}


def test_all_sections_and_their_files_are_listed(entries: dict[str, SectionEntry]) -> None:
    assert len(entries) == 35
    assert "C6" not in entries
    assert [name for name, entry in entries.items() if entry.image_path is not None] == list(VERIFIED)
    assert {entry.patient_id for entry in entries.values()} == set("ABCDEFGH")
    assert [name for name, entry in entries.items() if "regions" in entry.annotations] == [
        "A1", "B1", "C1", "D1", "E1", "F1", "G2", "H1",
    ]  # fmt: skip
    assert all("deconvolution" in entry.annotations for entry in entries.values())


def test_spots_join_as_verified(sections: dict[str, RawSection]) -> None:
    assert sum(len(section.spot_ids) for section in sections.values()) == 13_442
    assert sum(section.n_spots_without_counts for section in sections.values()) == 32
    for name, (n_spots, n_without, n_genes, median, most) in VERIFIED.items():
        section = sections[name]
        assert section.counts is not None
        totals = section.counts.totals()
        assert (len(section.spot_ids), section.n_spots_without_counts) == (n_spots, n_without)
        assert len(section.counts.genes) == n_genes
        assert np.median(totals) == pytest.approx(median, abs=0.5)
        assert totals.max() == most


def test_patient_a_has_its_own_scale(sections: dict[str, RawSection]) -> None:
    for name, section in sections.items():
        expected = 0.92 if name.startswith("A") else 0.69
        assert section.um_per_px == pytest.approx(expected, abs=0.01), name
