"""Legacy Spatial Transcriptomics is read in every published shape, bit-exact, and every fault says where it is."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cohorts.legacy import LegacyReader
from gr2st_core.cohorts.records import RawSection
from gr2st_core.errors import AlignmentError, CohortError, DataError, MissingArtifactError

SECTION = "P2_ST_rep1"
STDATA = f"GSM4284316_{SECTION}_stdata.tsv.gz"
SELECTION = f"GSM4284316_spot_data-selection-{SECTION}.tsv.gz"
IMAGE = f"GSM4284316_{SECTION}.jpg"

COUNTS = "\tERBB2\tACTB\n11x25\t0\t7\n10x26\t12\t0\n10x28\t1\t5\n12x26\t3\t3\n"
SPOTS = """\
x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected
10\t26\t10.03\t26.1\t300\t600\t1
10\t28\t10.03\t28.1\t300\t800\t1
11\t25\t11.03\t25.1\t400\t500\t1
12\t26\t12.03\t26.1\t500\t600\t0
"""
MATRIX = [[12, 0], [1, 5], [0, 7]]

Change = Callable[[str, str], Path]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """One section as GEO gives it, on the staggered array; its last spot is not selected."""
    folder = tmp_path / "cscc"
    folder.mkdir()
    (folder / STDATA).write_bytes(gzip.compress(COUNTS.encode()))
    (folder / SELECTION).write_bytes(gzip.compress(SPOTS.encode()))
    (folder / IMAGE).write_bytes(b"never opened by a reader")
    return folder


def read(folder: Path) -> RawSection:
    entries, faults = LegacyReader().entries("toy", folder)
    assert [str(fault) for fault in faults] == []
    assert len(entries) == 1
    return LegacyReader().read(entries[0])


def fault_of(folder: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read(folder)
    assert not isinstance(caught.value, CohortError), str(caught.value)
    assert caught.value.context["section"] == f"toy/{SECTION}"
    return caught.value


def write(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def matrix(section: RawSection) -> list[list[int]]:
    assert section.counts is not None
    return section.counts.matrix.toarray().tolist()


def test_a_section_of_geo_is_read_by_grid_position(cohort: Path) -> None:
    section = read(cohort)
    assert (str(section.key), section.patient_id) == (f"toy/{SECTION}", "P2")
    assert section.spot_ids.tolist() == ["10x26", "10x28", "11x25"]
    assert section.pixel_xy.tolist() == [[300, 600], [300, 800], [400, 500]]
    assert matrix(section) == MATRIX
    assert section.image_path == cohort / IMAGE
    assert section.n_spots_without_counts == 0


def test_spots_that_are_not_selected_are_left_out_and_said(cohort: Path) -> None:
    assert read(cohort).notes == ("1 count rows of spots that are not selected or not listed were left out",)


def test_neighbours_on_the_staggered_array_lie_across_the_diagonal(cohort: Path) -> None:
    section = read(cohort)
    assert section.pitch_px == pytest.approx(100 * np.sqrt(2))
    assert (section.pitch_um, section.um_per_px) == (150.0, pytest.approx(150 / 100 / np.sqrt(2)))


def test_neighbours_on_the_square_array_are_200_um_apart(cohort: Path) -> None:
    write(cohort / SELECTION, SPOTS.replace("12\t26\t12.03\t26.1\t500\t600\t0", "11\t26\t11\t26\t400\t600\t1"))
    section = read(cohort)
    assert (section.pitch_um, section.pitch_px, section.n_spots_without_counts) == (200.0, 100.0, 1)


@pytest.mark.parametrize(
    ("text", "pitch_um"),
    [("pitch_um: 110\n", 110.0), ("um_per_px: 0.5\n", 50 * np.sqrt(2)), ("um_per_px: 1.0\npitch_um: 141\n", 141.0)],
)
def test_the_cohort_file_overrides_the_pitch(cohort: Path, text: str, pitch_um: float) -> None:
    (cohort / "cohort.yml").write_text(text)
    assert read(cohort).pitch_um == pytest.approx(pitch_um)


def test_a_cohort_file_that_contradicts_itself_is_a_fault(cohort: Path) -> None:
    (cohort / "cohort.yml").write_text("pitch_um: 110\num_per_px: 0.5\n")
    fault = fault_of(cohort)
    assert fault.message == "pitch and scale of the cohort file contradict each other"
    assert (fault.context["file"], fault.context["found"]) == (cohort / "cohort.yml", 0.5)


def test_genes_in_rows_and_float_keys_give_the_same_section(cohort: Path) -> None:
    write(cohort / STDATA, "\t11.02x24.97\t10.03x26.4\t9.98x28.1\t12x26\nERBB2\t0\t12\t1\t3\nACTB\t7\t0\t5\t3\n")
    section = read(cohort)
    assert section.spot_ids.tolist() == ["10x26", "10x28", "11x25"]
    assert matrix(section) == MATRIX


@pytest.mark.parametrize(
    "spots",
    [
        SPOTS.replace("10\t26\t", "10.04\t25.98\t"),
        "pixel_y\tpixel_x\ty\tx\n600\t300\t26\t10\n800\t300\t28\t10\n500\t400\t25\t11\n",
        ',X,Y\n"10x26",300,600\n10x28,300,800\n11x25,400,500\n',
        "x,y,pixel_x,pixel_y\n10,26,300,600\n10,28,300,800\n11,25,400,500\n",
    ],
    ids=["float positions", "columns in any order", "keyed, commas", "commas"],
)
def test_spot_files_of_every_shape_give_the_same_spots(cohort: Path, spots: str) -> None:
    write(cohort / SELECTION, spots)
    section = read(cohort)
    assert section.spot_ids.tolist() == ["10x26", "10x28", "11x25"]
    assert section.array_xy.tolist() == [[10, 26], [10, 28], [11, 25]]
    assert section.pixel_xy.tolist() == [[300, 600], [300, 800], [400, 500]]


ENSEMBL = COUNTS.replace("ERBB2", "ENSG00000141736.13").replace("ACTB", "ENSG00000075624")


def test_ensembl_ids_are_kept_and_said_without_a_table_of_names(cohort: Path) -> None:
    write(cohort / STDATA, ENSEMBL)
    section = read(cohort)
    assert section.counts is not None
    assert section.counts.genes == ("ENSG00000141736.13", "ENSG00000075624")
    assert section.notes[0].startswith("genes are named by Ensembl ids and keep them")


def test_ensembl_ids_become_the_symbols_that_a_table_gives(cohort: Path) -> None:
    write(cohort / STDATA, ENSEMBL)
    write(cohort / "names.tsv", "gene_name\tgene_id\nERBB2\tENSG00000141736\nACTB\tENSG00000075624\n")
    section = read(cohort)
    assert section.counts is not None
    assert section.counts.genes == ("ACTB", "ERBB2")
    assert matrix(section) == [row[::-1] for row in MATRIX]
    assert section.notes[0] == "2 Ensembl ids became 2 symbols by names.tsv, 0 keep their id"


def test_ids_of_one_symbol_add_up_and_unknown_ids_stay(cohort: Path) -> None:
    write(cohort / STDATA, "\tENSG00000141736\tENSG00000075624\tENSG00000000003\n10x26\t1\t2\t4\n10x28\t0\t8\t0\n")
    write(cohort / "names.tsv", "gene_id\tgene_name\nENSG00000141736\tX\nENSG00000000003\tX\n")
    section = read(cohort)
    assert section.counts is not None
    assert section.counts.genes == ("ENSG00000075624", "X")
    assert matrix(section) == [[2, 5], [8, 0]]


def test_a_gene_with_two_names_is_a_fault(cohort: Path) -> None:
    write(cohort / STDATA, ENSEMBL)
    write(cohort / "names.tsv", "gene_id\tgene_name\nENSG00000075624\tACTB\nENSG00000075624\tACTG\n")
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == ("a gene has two names", "line 3")
    assert fault.context["found"] == ["ENSG00000075624", "ACTB", "ACTG"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message", "field"),
    [
        (STDATA, "\t7\n", "\t7.5\n", "a count is not an integer", "line 2"),
        (STDATA, "\t7\n", "\t-7\n", "a count is negative", "line 2"),
        (STDATA, "\t7\n", "\tNA\n", "a count is not a number", "line 2"),
        (STDATA, "10x28", "spot one", "a spot is not named by its position", "spot id"),
        (STDATA, "10x28", "10.2x25.6", "two spots round to one grid position", "spot id"),
        (SELECTION, "10\t28", "10.2\t25.6", "two spots round to one grid position", "spot id"),
        (SELECTION, "\t500\t1", "\tNaN\t1", "a spot has no usable position", "line 4"),
        (SELECTION, "\t500\t1", "\t500\t2", "a spot has no usable position", "line 4"),
        (SELECTION, "11\t25", "-11\t25", "a spot has no usable position", "line 4"),
        (SELECTION, "\t500\t1", "\t500", "a row is longer or shorter than the header", "line 4"),
        (SELECTION, "pixel_y", "pixel_z", "the columns of a table are not the expected ones", "header"),
    ],
)
def test_a_fault_names_file_and_place(cohort: Path, file: str, old: str, new: str, message: str, field: str) -> None:
    text = COUNTS if file == STDATA else SPOTS
    assert old in text
    write(cohort / file, text.replace(old, new))
    fault = fault_of(cohort)
    assert (fault.message, fault.context["field"]) == (message, field)
    assert fault.context["file"] == cohort / file


def test_a_spot_file_without_a_selected_spot_is_a_fault(cohort: Path) -> None:
    write(cohort / SELECTION, SPOTS.replace("\t1\n", "\t0\n"))
    assert fault_of(cohort).message == "a spot file has no selected spot"


def test_counts_of_another_section_are_refused(cohort: Path) -> None:
    write(cohort / STDATA, COUNTS.replace("x2", "x5"))
    fault = fault_of(cohort)
    assert isinstance(fault, AlignmentError)
    assert fault.message == "most spots have no counts"
    assert str(fault.context["found"]).startswith("counts of 0 of 3 spots")


@pytest.mark.parametrize("file", [STDATA, SELECTION])
def test_a_damaged_archive_is_named(cohort: Path, file: str) -> None:
    content = (cohort / file).read_bytes()
    (cohort / file).write_bytes(content[:-12])
    assert fault_of(cohort).message == "a gzip file is truncated or damaged"


def test_faults_of_both_tables_come_together(cohort: Path) -> None:
    write(cohort / STDATA, COUNTS.replace("\t7\n", "\t7.5\n"))
    write(cohort / SELECTION, SPOTS.replace("\t500\t1", "\t500\t2"))
    with pytest.raises(CohortError) as caught:
        read(cohort)
    assert [fault.message for fault in caught.value.faults] == [
        "a spot has no usable position",
        "a count is not an integer",
    ]


def test_a_section_without_spot_file_cannot_be_read(cohort: Path) -> None:
    entry = LegacyReader().entries("toy", cohort)[0][0]
    without = type(entry)(entry.key, entry.patient_id, {"counts": entry.files["counts"]})
    with pytest.raises(MissingArtifactError, match="no spot file"):
        LegacyReader().read(without)


def test_a_section_as_he_et_al_published_it_has_its_labels(tmp_path: Path) -> None:
    folder = tmp_path / "stnet" / "HER2_luminal" / "BC23209"
    folder.mkdir(parents=True)
    write(folder / "BC23209_C1.tsv.gz", "\tENSG00000141736\n7x8\t3\n8x8\t4\n9x8\t1\n")
    write(folder / "BC23209_C1.spots.txt", "x\ty\tpixel_x\tpixel_y\n7\t8\t700\t800\n8\t8\t800\t800\n9\t8\t900\t800\n")
    write(folder / "BC23209_C1_Coords.tsv", "\txcoord\tycoord\tlab\ttumor\n1\t7.02\t8.1\ta\ttumor\n2\t8\t8\tb\tnon\n")
    write(folder / "HE_BC23209_C1.jpg", "never opened")
    section = read(tmp_path / "stnet")
    assert (section.key.section_id, section.patient_id) == ("BC23209_C1", "BC23209")
    assert section.pitch_um == 200.0
    assert section.regions is not None
    assert section.regions.tolist() == ["tumor", "non", ""]
    assert section.image_path == folder / "HE_BC23209_C1.jpg"
