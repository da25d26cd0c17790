"""A listing finds the sound sections of a folder and names every fault of the others."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import file_sha256
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.patients import read_patients
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.registry import READERS, find_reader
from gr2st_core.cohorts.synthetic import section_names
from gr2st_core.cohorts.synthetic_files import write_patients
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError


def listing(folder: Path) -> tuple[list[str], list[DataError]]:
    entries, faults = Her2stReader().entries("toy", folder)
    return [str(entry.key) for entry in entries], faults


def entry_of(folder: Path, section: str) -> SectionEntry:
    entries, _ = Her2stReader().entries("toy", folder)
    return next(entry for entry in entries if entry.key.section_id == section)


def copy_section(folder: Path, old: str, new: str) -> None:
    for pattern in ("data/ST-cnts/{}.tsv.gz", "data/ST-spotfiles/{}_selection.tsv"):
        (folder / pattern.format(new)).write_bytes((folder / pattern.format(old)).read_bytes())


def test_sections_are_listed_with_patient_and_files(cohort: Path) -> None:
    entries, faults = Her2stReader().entries("toy", cohort)
    assert faults == []
    assert [(str(entry.key), entry.patient_id) for entry in entries] == [("toy/A1", "A"), ("toy/B1", "B")]
    assert entries[0].image_path == cohort / "data/ST-imgs/A/A1/slide.jpg"
    assert entries[1].image_path is None
    assert entries[0].annotations == {}


def test_the_order_of_files_in_their_folder_does_not_matter(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Her2stReader().entries("toy", cohort)
    for name in ("iterdir", "glob"):
        original = getattr(Path, name)
        monkeypatch.setattr(Path, name, lambda self, *a, _list=original: iter(sorted(_list(self, *a), reverse=True)))
    assert Her2stReader().entries("toy", cohort) == expected


def test_annotations_are_found_per_section(cohort: Path) -> None:
    label = cohort / "data/ST-pat/lbl/A1_labeled_coordinates.tsv"
    archive = cohort / "res/ST-deconv/props/major.zip"
    for path in (label, archive):
        path.parent.mkdir(parents=True)
    label.write_text("label")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("major/A1-proportion.tsv", "")
    assert entry_of(cohort, "A1").annotations == {"deconvolution": archive, "regions": label}
    assert entry_of(cohort, "B1").annotations == {}
    unpacked = archive.parent / "major/B1-proportion.tsv"
    unpacked.parent.mkdir()
    unpacked.write_text("")
    assert entry_of(cohort, "B1").annotations == {"deconvolution": unpacked}


def packed(version: int = 20, *, name: bytes = b"AA1") -> bytes:
    """Pack an archive of one member by hand: the version that unpacks it, its name in UTF-8."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("é1-proportion.tsv", "")
    data = bytearray(content.getvalue().replace("é1".encode(), name))
    data[data.index(b"PK\x01\x02") + 6] = version
    return bytes(data)


@pytest.mark.parametrize("content", [b"PK no more", packed(99), packed(name=b"\xff\xfe1")])
def test_a_damaged_archive_of_annotations_is_a_fault_but_stops_no_section(cohort: Path, content: bytes) -> None:
    archive = cohort / "res/ST-deconv/props/major.zip"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(content)
    sections, faults = listing(cohort)
    assert sections == ["toy/A1", "toy/B1"]
    assert [(fault.message, fault.context["file"]) for fault in faults] == [
        ("a zip file is truncated or damaged", archive)
    ]


def test_two_images_of_a_section_are_refused_and_other_sections_stay(cohort: Path) -> None:
    (cohort / "data/ST-imgs/A/A1/second.TIF").write_bytes(b"")
    sections, faults = listing(cohort)
    assert sections == ["toy/B1"]
    assert faults[0].message == "a section has more than one image"
    assert faults[0].context["section"] == "toy/A1"
    assert faults[0].context["found"] == ["second.TIF", "slide.jpg"]


def test_an_image_of_the_same_section_in_another_folder_counts_too(cohort: Path) -> None:
    other = cohort / "data/ST-imgs/B/A1/slide.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    assert listing(cohort)[0] == ["toy/B1"]


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (["data/ST-spotfiles/A1_selection.tsv"], "a section has no spot file"),
        (["data/ST-spotfiles/A1_selection.tsv", "data/ST-cnts/A1.tsv.gz"], "a section has no spot file"),
        (["data/ST-cnts/A1.tsv.gz", "data/ST-imgs/A/A1/slide.jpg"], "a section has neither counts nor an image"),
    ],
)
def test_missing_files_are_named(cohort: Path, removed: list[str], message: str) -> None:
    for name in removed:
        (cohort / name).unlink()
    sections, faults = listing(cohort)
    assert sections == ["toy/B1"]
    assert [fault.message for fault in faults] == [message]
    assert isinstance(faults[0], MissingArtifactError)
    assert "A1" in str(faults[0].context["file"])


@pytest.mark.parametrize("name", ["..", "..A1", "A 1", "A1;rm", "A1.2", "é1", "A" * 65])
def test_odd_section_names_are_refused(cohort: Path, name: str) -> None:
    copy_section(cohort, "B1", name)
    sections, faults = listing(cohort)
    assert sections == ["toy/A1", "toy/B1"]
    assert len(faults) == 1
    assert faults[0].message == "a section has an unusable name"
    assert faults[0].context["found"] == repr(name)


@pytest.mark.parametrize("name", ["data/ST-cnts/A1.tsv.gz", "data/ST-imgs/A/A1/slide.jpg"])
def test_a_link_out_of_the_cohort_folder_is_refused(cohort: Path, name: str) -> None:
    path = cohort / name
    outside = path.rename(cohort.parent / path.name)
    path.symlink_to(outside)
    sections, faults = listing(cohort)
    assert sections == ["toy/B1"]
    assert faults[0].message == "a file lies outside its cohort folder"
    assert faults[0].context["file"] == path
    assert faults[0].context["found"] == outside


def test_a_linked_folder_a_dangling_link_and_a_pipe_are_refused(cohort: Path) -> None:
    (cohort / "data/ST-cnts/B1.tsv.gz").unlink()
    (cohort / "data/ST-cnts/B1.tsv.gz").symlink_to(cohort / "nowhere")
    (cohort / "data/ST-spotfiles/A1_selection.tsv").unlink()
    os.mkfifo(cohort / "data/ST-spotfiles/A1_selection.tsv")
    images = cohort / "data/ST-imgs/A"
    images.rename(cohort.parent / "elsewhere")
    images.symlink_to(cohort.parent / "elsewhere")
    sections, faults = listing(cohort)
    assert sections == []
    assert sorted(fault.message for fault in faults) == [
        "a cohort holds regular files only",
        "a file lies outside its cohort folder",
        "a file of the cohort does not exist",
    ]


def test_a_link_within_the_cohort_folder_is_followed(cohort: Path) -> None:
    path = cohort / "data/ST-cnts/B1.tsv.gz"
    path.unlink()
    path.symlink_to(cohort / "data/ST-cnts/A1.tsv.gz")
    assert listing(cohort) == (["toy/A1", "toy/B1"], [])


def test_faults_of_several_sections_are_reported_together(cohort: Path) -> None:
    copy_section(cohort, "B1", "C1")
    (cohort / "data/ST-imgs/A/A1/second.jpg").write_bytes(b"")
    (cohort / "data/ST-spotfiles/C1_selection.tsv").unlink()
    sections, faults = listing(cohort)
    assert sections == ["toy/B1"]
    assert [fault.context["section"] for fault in faults] == ["toy/A1", "toy/C1"]


def test_a_section_whose_name_gives_no_patient_needs_the_table(cohort: Path) -> None:
    copy_section(cohort, "B1", "tumour_7")
    sections, faults = listing(cohort)
    assert sections == ["toy/A1", "toy/B1"]
    assert faults[0].message == "a section has no patient"
    (cohort / "patients.tsv").write_text("section_id\tpatient_id\ntumour_7\tP07\nB1\tA\n")
    entries, faults = Her2stReader().entries("toy", cohort)
    assert faults == []
    assert {entry.key.section_id: entry.patient_id for entry in entries} == {"A1": "A", "B1": "A", "tumour_7": "P07"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("section\tpatient\nB1\tA\n", "the columns of a table are not the expected ones"),
        ("section_id\tpatient_id\nB1\tA\nB1\tC\n", "a section has two patients"),
        ("section_id\tpatient_id\nB1\t\n", "a patient id is unusable"),
        ("section_id\tpatient_id\nB1\t../A\n", "a patient id is unusable"),
        ("section_id\tpatient_id\nB1\n", "a row is longer or shorter than the header"),
        ("", "a table is empty"),
    ],
)
def test_with_a_damaged_patient_table_no_patient_is_guessed(cohort: Path, text: str, message: str) -> None:
    (cohort / "patients.tsv").write_text(text)
    sections, faults = listing(cohort)
    assert sections == []
    assert [fault.message for fault in faults] == [message]
    assert faults[0].context["file"] == cohort / "patients.tsv"


def test_a_patient_table_behind_a_dangling_link_is_not_overlooked(cohort: Path) -> None:
    (cohort / "patients.tsv").symlink_to(cohort / "nowhere")
    sections, faults = listing(cohort)
    assert sections == []
    assert isinstance(faults[0], MissingArtifactError)


def test_a_patient_table_that_names_unknown_sections_is_a_fault(cohort: Path) -> None:
    (cohort / "patients.tsv").write_text("section_id\tpatient_id\nB01\tA\n")
    sections, faults = listing(cohort)
    assert sections == ["toy/A1", "toy/B1"]
    assert faults[0].context["found"] == ["B01"]


def test_more_patients_than_letters_are_named_in_the_table(tmp_path: Path) -> None:
    names = section_names(28, 2)
    assert list(names)[:4] == ["A1", "A2", "B1", "B2"]
    assert list(names)[-4:] == ["AA1", "AA2", "AB1", "AB2"]
    assert len(set(names.values())) == 28
    write_patients(tmp_path, names.items())
    faults = Faults()
    assert read_patients(tmp_path, faults) == names
    assert len(faults) == 0


def test_an_unusable_cohort_name_is_refused(cohort: Path) -> None:
    with pytest.raises(SchemaError, match="cohort"):
        Her2stReader().entries("../evil", cohort)


def test_an_entry_survives_json_and_moves_with_its_folder(cohort: Path) -> None:
    entry = entry_of(cohort, "A1")
    record = entry.to_json(cohort)
    assert record["files"]["counts"] == "data/ST-cnts/A1.tsv.gz"
    assert SectionEntry.from_json(cohort, record) == entry
    moved = cohort.rename(cohort.parent / "moved")
    assert SectionEntry.from_json(moved, record).image_path == moved / "data/ST-imgs/A/A1/slide.jpg"


def test_an_entry_from_json_keeps_within_its_folder(cohort: Path) -> None:
    record = entry_of(cohort, "A1").to_json(cohort)
    (cohort.parent / "secret.tsv").write_text("")
    with pytest.raises(SchemaError, match="outside its cohort folder"):
        SectionEntry.from_json(cohort, record | {"files": {"spots": "../secret.tsv"}})
    with pytest.raises(MissingArtifactError, match="does not exist"):
        SectionEntry.from_json(cohort, record | {"files": {"spots": "gone.tsv"}})
    with pytest.raises(SchemaError, match="lacks fields"):
        SectionEntry.from_json(cohort, {"key": "toy/A1"})


def test_the_reader_of_a_folder_is_found_by_its_layout(cohort: Path, tmp_path: Path) -> None:
    assert find_reader(cohort).layout == "her2st"
    other = tmp_path / "other"
    (other / "spatial").mkdir(parents=True)
    with pytest.raises(MissingArtifactError) as caught:
        find_reader(other)
    assert caught.value.context["found"] == ["spatial"]
    assert caught.value.context["expected"] == {reader.layout: reader.expects for reader in READERS}
    with pytest.raises(MissingArtifactError, match="no such cohort folder"):
        find_reader(tmp_path / "nowhere")


def test_a_file_is_identified_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
