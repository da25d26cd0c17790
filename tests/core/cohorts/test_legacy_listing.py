"""A listing of a legacy folder finds sections by what files hold, and names every fault of the others."""

import gzip
import os
from pathlib import Path

import pytest

from gr2st_core.cohorts.legacy import LegacyReader
from gr2st_core.cohorts.legacy_files import kind_of, section_of
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.registry import find_reader
from gr2st_core.errors import DataError, SchemaError

COUNTS = "\tERBB2\n1x1\t3\n2x1\t4\n"
SPOTS = "x\ty\tpixel_x\tpixel_y\n1\t1\t100\t100\n2\t1\t200\t100\n"


def add(folder: Path, section: str, *, image: str | None = ".jpg") -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"GSM1_{section}_stdata.tsv").write_text(COUNTS)
    (folder / f"GSM1_spot_data-selection-{section}.tsv").write_text(SPOTS)
    if image:
        (folder / f"GSM1_{section}{image}").write_bytes(b"\xff\xd8")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two sections of two patients, both sound."""
    folder = tmp_path / "cohort"
    add(folder, "P2_ST_rep1")
    add(folder, "P10_ST_rep3")
    return folder


def listing(folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    return LegacyReader().entries("toy", folder)


def fault_of(folder: Path, *, others: int = 1) -> DataError:
    """The one fault of the folder; the other sections are listed."""
    entries, faults = listing(folder)
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert len(entries) == others
    return faults[0]


def test_sections_are_listed_with_patient_and_files(cohort: Path) -> None:
    entries, faults = listing(cohort)
    assert faults == []
    assert [(str(entry.key), entry.patient_id) for entry in entries] == [
        ("toy/P10_ST_rep3", "P10"),
        ("toy/P2_ST_rep1", "P2"),
    ]
    assert set(entries[0].files) == {"counts", "spots", "image"}
    assert SectionEntry.from_json(cohort, entries[0].to_json(cohort)) == entries[0]


def test_the_reader_is_chosen_by_what_files_hold(cohort: Path, tmp_path: Path) -> None:
    assert find_reader(cohort).layout == "legacy-st"
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "BC23209_C1.txt").write_text(SPOTS)
    assert find_reader(odd).layout == "legacy-st"
    (odd / "BC23209_C1.txt").write_text("barcode\tin_tissue\n")
    assert not LegacyReader().recognises(odd)


@pytest.mark.parametrize(
    ("name", "content", "kind", "section"),
    [
        ("GSM4284316_P2_ST_rep1_stdata.tsv", COUNTS, "counts", "P2_ST_rep1"),
        ("GSM4284316_spot_data-selection-P2_ST_rep1.tsv", SPOTS, "spots", "P2_ST_rep1"),
        ("BC1_C1.tsv", COUNTS, "counts", "BC1_C1"),
        ("BC1_C1.tsv", "\t1x1\t2x1\nERBB2\t1\t2\n", "counts", "BC1_C1"),
        ("BC1_C1.spots.txt", SPOTS, "spots", "BC1_C1"),
        ("spots_BC1_C1.csv", ",X,Y\n1x1,2,3\n", "spots", "BC1_C1"),
        ("BC1_C1_stdata.tsv", SPOTS, "spots", "BC1_C1"),
        ("BC1_C1_stdata.tsv", "", "counts", "BC1_C1"),
        ("BC1_C1_Coords.tsv", "\tx\ty\tlab\ttumor\n", "regions", "BC1_C1"),
        ("HE_BC1_C1.jpg", "", "image", "BC1_C1"),
        ("BC1_C1.jpg.gz", "", "packed image", "BC1_C1"),
        ("GSE1_counts.txt", "\tAAACAAG-1\nERBB2\t1\n", None, "GSE1"),
        ("metadata.csv", "patient,type\n", None, "metadata"),
        ("README", COUNTS, None, "README"),
    ],
)
def test_content_says_what_a_file_is_and_its_name_whose(
    tmp_path: Path, name: str, content: str, kind: str | None, section: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert (kind_of(path), section_of(path)) == (kind, section)


def test_a_packed_image_is_told_with_what_to_do(cohort: Path) -> None:
    image = cohort / "GSM1_P2_ST_rep1.jpg"
    image.rename(image.with_name(image.name + ".gz"))
    fault = fault_of(cohort)
    assert (fault.message, fault.context["section"]) == ("an image is packed", "toy/P2_ST_rep1")
    assert fault.context["hint"] == "gunzip --keep GSM1_P2_ST_rep1.jpg.gz"


def test_a_packed_file_beside_its_copy_is_no_second_file(cohort: Path) -> None:
    for name in ("GSM1_P2_ST_rep1.jpg", "GSM1_P2_ST_rep1_stdata.tsv"):
        (cohort / f"{name}.gz").write_bytes(gzip.compress((cohort / name).read_bytes()))
    entries, faults = listing(cohort)
    assert (len(entries), faults) == (2, [])
    assert entries[1].files["counts"] == cohort / "GSM1_P2_ST_rep1_stdata.tsv"


def test_counts_without_an_image_are_a_section(cohort: Path) -> None:
    (cohort / "GSM1_P2_ST_rep1.jpg").unlink()
    entries, faults = listing(cohort)
    assert (len(entries), faults, entries[1].image_path) == (2, [], None)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (["GSM1_spot_data-selection-P2_ST_rep1.tsv"], "a section has no spot file"),
        (["GSM1_P2_ST_rep1_stdata.tsv", "GSM1_P2_ST_rep1.jpg"], "a section has neither counts nor an image"),
    ],
)
def test_a_section_that_lacks_files_is_named(cohort: Path, gone: list[str], message: str) -> None:
    for name in gone:
        (cohort / name).unlink()
    fault = fault_of(cohort)
    assert (fault.message, fault.context["section"]) == (message, "toy/P2_ST_rep1")


def test_two_files_of_one_kind_are_a_fault(cohort: Path) -> None:
    (cohort / "GSM2_P2_ST_rep1_stdata.tsv").write_text(COUNTS)
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == ("a section has two files of one kind", "counts")
    assert fault.context["found"] == ["GSM1_P2_ST_rep1_stdata.tsv", "GSM2_P2_ST_rep1_stdata.tsv"]


def test_a_patient_is_never_guessed(cohort: Path) -> None:
    add(cohort, "tumour_one")
    fault = fault_of(cohort, others=2)
    assert (fault.message, fault.context["section"]) == ("a section has no patient", "toy/tumour_one")
    assert fault.context["hint"] == "add the row: tumour_one<tab><patient>"
    (cohort / "patients.tsv").write_text("section_id\tpatient_id\ntumour_one\tX\nP2_ST_rep1\tY\n")
    entries, faults = listing(cohort)
    assert faults == []
    assert [entry.patient_id for entry in entries] == ["P10", "Y", "X"]


@pytest.mark.parametrize(("name", "text"), [("patients.tsv", "section_id\npatient\n"), ("cohort.yml", "pitch: 110\n")])
def test_a_damaged_table_of_facts_lists_nothing(cohort: Path, name: str, text: str) -> None:
    (cohort / name).write_text(text)
    assert fault_of(cohort, others=0).context["file"] == cohort / name


def test_a_row_of_an_unknown_section_is_named(cohort: Path) -> None:
    (cohort / "patients.tsv").write_text("section_id\tpatient_id\nP3_ST_rep1\tP3\n")
    assert fault_of(cohort, others=2).context["found"] == ["P3_ST_rep1"]


def test_links_out_of_the_folder_are_refused_and_pipes_left_alone(cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.tsv").write_text(COUNTS)
    counts = cohort / "GSM1_P2_ST_rep1_stdata.tsv"
    counts.unlink()
    counts.symlink_to(tmp_path / "outside.tsv")
    os.mkfifo(cohort / "P9_ST_rep1_stdata.tsv")
    (cohort / "loop").symlink_to(cohort)
    fault = fault_of(cohort)
    assert isinstance(fault, SchemaError)
    assert fault.message == "a file lies outside its cohort folder"


def test_the_facts_of_a_cohort_are_files_of_every_section(cohort: Path) -> None:
    (cohort / "cohort.yml").write_text("pitch_um: 110\n")
    (cohort / "names.tsv").write_text("gene_id\tgene_name\nENSG00000075624\tACTB\n")
    entries, _ = listing(cohort)
    for entry in entries:
        assert entry.files["facts"] == cohort / "cohort.yml"
        assert entry.files["genes"] == cohort / "names.tsv"
