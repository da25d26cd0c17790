"""The archive of Wu et al. 2021 is read with its patients and its pathologist's labels."""

from pathlib import Path
from types import ModuleType

import pytest

from gr2st_core.cohorts.registry import find_reader
from gr2st_core.cohorts.spaceranger import SpaceRangerReader
from gr2st_core.cohorts.wu2021 import Wu2021Reader
from gr2st_core.errors import AlignmentError, DataError, MissingArtifactError

METADATA = "metadata/CID4290_metadata.csv"
HEADER = '"","nCount_RNA","patientid","subtype","Classification"\n'
TEXT = HEADER + (
    '"AAAC-1",8,"CID4290","ER","Invasive cancer + stroma"\n'
    '"CCCA-1",7,"CID4290","ER",""\n'
    '"GTAC-1",16,"CID4290","ER",NA\n'
)


@pytest.fixture
def archive(tmp_path: Path, samples: ModuleType) -> Path:
    """Sections 1142243F and CID4290, both sound."""
    folder = tmp_path / "wu"
    for section, packed in (("1142243F", False), ("CID4290", True)):
        counts = folder / f"filtered_count_matrices/{section}_filtered_count_matrix"
        samples.write_trio(counts, packed=packed, n_columns=1)
        samples.write_trio(folder / f"raw_count_matrices/{section}_raw_feature_bc_matrix", packed=packed)
        samples.write_spatial(folder / f"spatial/{section}_spatial")
        (folder / "metadata").mkdir(exist_ok=True)
        text = TEXT.replace("CID4290", section)
        (folder / f"metadata/{section}_metadata.csv").write_text(text, encoding="utf-8")
    return folder


def fault_of(folder: Path) -> DataError:
    entries, faults = Wu2021Reader().entries("wu", folder)
    assert [entry.key.section_id for entry in entries] == ["1142243F"]
    assert len(faults) == 1, faults
    assert faults[0].context["section"] == "wu/CID4290"
    return faults[0]


def test_counts_positions_patient_and_labels_are_read(archive: Path) -> None:
    assert find_reader(archive).layout == "wu2021"
    assert not SpaceRangerReader().recognises(archive)
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert faults == []
    assert [(str(entry.key), entry.patient_id) for entry in entries] == [
        ("wu/1142243F", "1142243F"),
        ("wu/CID4290", "CID4290"),
    ]
    for entry in entries:
        section = Wu2021Reader().read(entry)
        assert section.spot_ids.tolist() == ["AAAC-1", "CCCA-1", "GTAC-1"]
        assert section.counts is not None
        assert section.counts.genes == ("ERBB2", "ACTB", "TBCE")
        assert section.counts.matrix.toarray().tolist() == [[0, 7, 1], [0, 0, 7], [12, 0, 4]]
        assert section.regions is not None
        assert section.regions.tolist() == ["Invasive cancer + stroma", "", ""]
        assert section.pixel_xy[:2].tolist() == [[250, 250], [300, 250]]
        assert section.um_per_px == pytest.approx(2.0)


@pytest.mark.parametrize("place", [".", "images"])
def test_a_slide_at_full_resolution_is_preferred(archive: Path, place: str) -> None:
    (archive / place).mkdir(exist_ok=True)
    (archive / place / "CID4290.tif").touch()
    section = Wu2021Reader().read(Wu2021Reader().entries("wu", archive)[0][1])
    assert section.image_path == archive / place / "CID4290.tif"
    assert section.pixel_xy[0].tolist() == [1000, 1000]


def test_the_table_of_patients_wins(archive: Path, samples: ModuleType) -> None:
    samples.write_patients(archive, CID4290="P7")
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert faults == []
    assert [entry.patient_id for entry in entries] == ["1142243F", "P7"]


def test_a_section_without_metadata_has_no_patient_but_may_be_given_one(archive: Path, samples: ModuleType) -> None:
    (archive / METADATA).unlink()
    fault = fault_of(archive)
    assert (fault.message, fault.context["hint"]) == ("a section has no patient", "add the row: CID4290<tab><patient>")
    samples.write_patients(archive, CID4290="P7")
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert faults == []
    assert Wu2021Reader().read(entries[1]).regions is None


def test_labels_of_the_user_win_and_the_patient_stays(archive: Path) -> None:
    (archive / "regions").mkdir()
    (archive / "regions/CID4290.tsv").write_text("spot_id\tlabel\nCCCA-1\tfat\n", encoding="utf-8")
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert faults == []
    section = Wu2021Reader().read(entries[1])
    assert section.regions is not None
    assert (section.patient_id, section.regions.tolist()) == ("CID4290", ["", "fat", ""])


def test_metadata_of_two_patients_name_none(archive: Path) -> None:
    (archive / METADATA).write_text(TEXT.replace('7,"CID4290"', '7,"CID9"'), encoding="utf-8")
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert [entry.key.section_id for entry in entries] == ["1142243F"]
    assert [fault.message for fault in faults] == ["a section has two patients", "a section has no patient"]
    assert (faults[0].context["field"], faults[0].context["found"]) == ("patientid", ["CID4290", "CID9"])


def test_labels_of_another_section_are_a_fault(archive: Path) -> None:
    (archive / METADATA).write_text(TEXT.replace("-1", "-2"), encoding="utf-8")
    entries, _ = Wu2021Reader().entries("wu", archive)
    with pytest.raises(AlignmentError) as caught:
        Wu2021Reader().read(entries[1])
    assert (caught.value.message, caught.value.context["found"]) == ("labels have no spot", ["AAAC-2"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("Classification", "class"), "the columns of a table are not the expected ones"),
        (TEXT.replace("CCCA", "AAAC"), "a spot is listed twice"),
        ("", "a table of metadata cannot be read"),
    ],
)
def test_a_fault_of_the_metadata_is_named(archive: Path, samples: ModuleType, text: str, message: str) -> None:
    samples.write_patients(archive, CID4290="P7")
    (archive / METADATA).write_text(text, encoding="utf-8")
    entries, faults = Wu2021Reader().entries("wu", archive)
    assert faults == []
    with pytest.raises(DataError) as caught:
        Wu2021Reader().read(entries[1])
    assert (caught.value.message, caught.value.context["file"]) == (message, archive / METADATA)
    assert caught.value.context["section"] == "wu/CID4290"


def test_a_section_without_counts_is_a_fault(archive: Path) -> None:
    folder = archive / "filtered_count_matrices/CID4290_filtered_count_matrix"
    folder.rename(archive / "elsewhere")
    fault = fault_of(archive)
    assert isinstance(fault, MissingArtifactError)
    assert fault.context["field"] == "counts"
