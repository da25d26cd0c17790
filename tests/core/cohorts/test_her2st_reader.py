"""Sections are read by the join rules of the her2st layout, and every fault of a file says where it is."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.cohorts.records import RawSection
from gr2st_core.cohorts.spot_table import measure_pitch
from gr2st_core.errors import AlignmentError, CohortError, DataError, MissingArtifactError, SchemaError
from gr2st_core.settings import Limits

HEADER = "x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected\n"
GENES = "\tERBB2\tACTB\tKRT18\n"

SetCounts = Callable[[str | bytes], Path]
SetSpots = Callable[[str], Path]


def read(folder: Path, section: str = "A1") -> RawSection:
    reader = Her2stReader()
    entries, faults = reader.entries("toy", folder)
    assert faults == []
    return reader.read(next(entry for entry in entries if entry.key.section_id == section))


def fault_of(folder: Path) -> DataError:
    """The one fault of A1; B1 must still be readable."""
    assert read(folder, "B1").spot_ids.tolist() == ["3x2", "4x2", "3x3"]
    with pytest.raises(DataError) as caught:
        read(folder)
    assert not isinstance(caught.value, CohortError), str(caught.value)
    assert caught.value.context["section"] == "toy/A1"
    return caught.value


def test_counts_join_spots_by_id_not_by_position(cohort: Path) -> None:
    section = read(cohort)
    assert section.spot_ids.tolist() == ["3x2", "4x2", "3x3"]
    assert section.counts is not None
    assert section.counts.genes == ("ERBB2", "ACTB", "KRT18")
    assert section.counts.matrix.toarray().tolist() == [[12, 0, 0], [0, 7, 1], [0, 0, 5]]
    assert section.array_xy.tolist() == [[3, 2], [4, 2], [3, 3]]
    assert section.pixel_xy.tolist() == [[300, 200], [400, 200], [300, 300]]


def test_spots_without_counts_are_dropped_and_counted(cohort: Path) -> None:
    assert read(cohort).n_spots_without_counts == 1


def test_the_scale_comes_from_the_pitch_of_the_section(cohort: Path, set_spots: SetSpots) -> None:
    assert read(cohort).um_per_px == pytest.approx(2.0)
    rows = [f"{x}\t{y}\t{x}\t{y}\t{x * 250}\t{y * 250}\t1" for y in (2, 3) for x in (3, 4)]
    section = read(set_spots(HEADER + "\n".join(rows) + "\n"))
    assert (section.pitch_um, section.pitch_px, section.um_per_px) == pytest.approx((200.0, 250.0, 0.8))


def test_pitch_is_measured_along_a_turned_grid_and_only_between_neighbours() -> None:
    grid = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [5, 5]], dtype=float)
    angle = 0.3
    turned = 80.0 * grid @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert measure_pitch(grid, turned) == pytest.approx(80.0)
    assert np.isnan(measure_pitch(grid[[0, 4]], turned[[0, 4]]))


def test_an_image_with_spots_but_no_counts_is_a_section_without_counts(cohort: Path) -> None:
    (cohort / "data/ST-cnts/A1.tsv.gz").unlink()
    section = read(cohort)
    assert section.counts is None
    assert section.n_spots_without_counts == 0
    assert section.spot_ids.tolist() == ["3x2", "4x2", "3x3", "4x3"]


def test_a_section_without_image_keeps_its_counts(cohort: Path) -> None:
    section = read(cohort, "B1")
    assert section.image_path is None
    assert section.counts is not None


def test_windows_line_ends_and_shuffled_spot_columns_change_nothing(
    cohort: Path, set_counts: SetCounts, set_spots: SetSpots
) -> None:
    plain = read(cohort)
    set_counts((GENES + "4x2\t0\t7\t1\n3x2\t12\t0\t0\n3x3\t0\t0\t5\n").replace("\n", "\r\n"))
    rows = "3\t2\t300\t200\n4\t2\t400\t200\n3\t3\t300\t300\n4\t3\t400\t300\n".replace("\n", "\t1\t3\t2\n")
    other = read(set_spots("x\ty\tpixel_x\tpixel_y\tselected\tnew_x\tnew_y\n" + rows))
    assert plain.counts is not None
    assert other.counts is not None
    assert (other.counts.matrix != plain.counts.matrix).nnz == 0
    assert other.pixel_xy.tolist() == plain.pixel_xy.tolist()


@pytest.mark.parametrize(
    ("row", "message", "found"),
    [
        ("4x2\t0\t-7\t1", "a count is negative", "'-7'"),
        ("4x2\t0\t7.5\t1", "a count is not an integer", "'7.5'"),
        ("4x2\t0\t7.0\t1", "a count is not an integer", "'7.0'"),
        ("4x2\t0\tnan\t1", "a count is not finite", "'nan'"),
        ("4x2\t0\tinf\t1", "a count is not finite", "'inf'"),
        ("4x2\t0\t\t1", "a count is missing", "''"),
        ("4x2\t0\tmany\t1", "a count is not a number", "'many'"),
        ("4x2\t0\t99999999999999999999999\t1", "a count is too large", "'99999999999999999999999'"),
        ("4x2\t0\t" + "9" * 5000 + "\t1", "a count is too large", repr("9" * 40)),
        ("4x2\t0\t\xe9\t1", "a count is not a number", "'é'"),
    ],
)
def test_a_bad_count_names_row_gene_and_value(set_counts: SetCounts, row: str, message: str, found: str) -> None:
    fault = fault_of(set_counts(f"{GENES}3x2\t1\t2\t3\n{row}\n"))
    assert isinstance(fault, SchemaError)
    assert fault.message == message
    assert fault.context["found"] == found
    assert fault.context["field"] == "line 3"
    assert fault.context["gene"] == "ACTB"
    assert Path(str(fault.context["file"])).name == "A1.tsv.gz"


@pytest.mark.parametrize(
    ("row", "n"), [("4x2\t0\t7", 2), ("4x2\t0\t7\t1\t1", 4), ("4x2", 1), ("4x2\t0\t7\t\t1", 4), ("", 1)]
)
def test_a_ragged_count_row_is_named(set_counts: SetCounts, row: str, n: int) -> None:
    fault = fault_of(set_counts(f"{GENES}3x2\t1\t2\t3\n{row}\n3x3\t1\t1\t1\n"))
    assert fault.message == "a row is longer or shorter than the header"
    assert (fault.context["field"], fault.context["found"], fault.context["expected"]) == (
        "line 3",
        f"{n} counts",
        "3 counts",
    )


@pytest.mark.parametrize(
    ("content", "message", "found"),
    [
        (f"{GENES}3x2\t1\t2\t3\n3x2\t1\t2\t3\n", "a spot has two rows", ["3x2"]),
        ("\tERBB2\tERBB2\tKRT18\n3x2\t1\t2\t3\n", "a gene has two columns", ["ERBB2"]),
        ("\tERBB2\t\tKRT18\n3x2\t1\t2\t3\n", "a column has no name", None),
        ("", "a count table is empty", "no columns"),
        (GENES, "a count table is empty", "no rows"),
        (b"\tERBB2\tACT\xff\tKRT18\n3x2\t1\t2\t3\n", "a table is not UTF-8 text", "byte 10"),
    ],
)
def test_a_bad_count_table_is_named(set_counts: SetCounts, content: str | bytes, message: str, found: object) -> None:
    fault = fault_of(set_counts(content))
    assert fault.message == message
    assert fault.context.get("found") == found


def test_a_count_row_without_a_spot_is_an_error(set_counts: SetCounts) -> None:
    fault = fault_of(set_counts(f"{GENES}3x2\t1\t2\t3\n9x9\t1\t2\t3\n"))
    assert isinstance(fault, AlignmentError)
    assert fault.context["found"] == ["9x9"]


@pytest.mark.parametrize("keep", [0.3, 0.95])
def test_a_truncated_gzip_is_named(cohort: Path, keep: float) -> None:
    path = cohort / "data/ST-cnts/A1.tsv.gz"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    fault = fault_of(cohort)
    assert fault.message == "a gzip file is truncated or damaged"
    assert fault.context["file"] == path


def test_a_file_that_is_no_gzip_or_has_flipped_bytes_is_named(cohort: Path) -> None:
    path = cohort / "data/ST-cnts/A1.tsv.gz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    for content in (b"plain text", bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="truncated or damaged"):
            read(cohort)


def test_an_archive_that_unpacks_to_too_much_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tsv.gz"
    path.write_bytes(gzip.compress(b"\tG\n" + b"a\t0\n" * 50_000))
    faults = Faults(section="toy/A1")
    read_count_table(path, faults, Limits(max_bytes=100_000))
    assert faults.found[0].message == "a table unpacks to too many bytes"
    assert faults.found[0].context["expected"] == "at most 100000 bytes"
    path.write_bytes(gzip.compress(b"\tG\n" + b"0" * 5_000_000))
    faults = Faults(section="toy/A1")
    read_count_table(path, faults, Limits(max_bytes=2**28))
    assert faults.found[0].message == "a line is too long"


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        (f"{HEADER}3\t2\t3\t2\t300\tnan\t1\n", "a coordinate is not finite", "line 2"),
        (f"{HEADER}3\t2\t3\t2\t300\there\t1\n", "a coordinate is not a number", "line 2"),
        (f"{HEADER}3.4\t2\t3\t2\t300\t200\t1\n", "a grid position is not a non-negative integer", "line 2"),
        (f"{HEADER}-3\t2\t3\t2\t300\t200\t1\n", "a grid position is not a non-negative integer", "line 2"),
        (f"{HEADER}3\t2\t3\t2\t300\t200\t0\n", "a spot that is not selected is listed", "line 2"),
        (f"{HEADER}3\t2\t3\t2\t300\t200\n", "a row is longer or shorter than the header", "line 2"),
        (f"{HEADER}3\t2\t3\t2\t300\t200\t1\n3\t2\t3\t2\t300\t200\t1\n", "a spot is listed twice", "x, y"),
        ("", "a table is empty", None),
        (HEADER, "a table is empty", None),
        ("x\ty\tpixel_x\tpixel_y\n3\t2\t300\t200\n", "the columns of a table are not the expected ones", "header"),
    ],
)
def test_a_bad_spot_file_is_named(
    set_spots: SetSpots, set_counts: SetCounts, text: str, message: str, field: str | None
) -> None:
    fault = fault_of(set_spots(text))
    assert fault.message == message
    assert fault.context.get("field") == field
    assert Path(str(fault.context["file"])).name == "A1_selection.tsv"


def test_unknown_and_missing_spot_columns_are_listed(set_spots: SetSpots) -> None:
    fault = fault_of(set_spots(HEADER.replace("selected", "chosen") + "1\t" * 6 + "1\n"))
    assert fault.context["hint"] == "missing ['selected'], unknown ['chosen']"


def test_a_spot_file_that_is_not_utf8_is_named(cohort: Path) -> None:
    (cohort / "data/ST-spotfiles/A1_selection.tsv").write_bytes(HEADER.encode("utf-16"))
    assert fault_of(cohort).message == "a table is not UTF-8 text"


def test_spots_that_give_no_scale_are_refused(set_spots: SetSpots, set_counts: SetCounts) -> None:
    set_counts(f"{GENES}3x2\t1\t2\t3\n")
    far_apart = f"{HEADER}3\t2\t3\t2\t300\t200\t1\n7\t7\t7\t7\t700\t700\t1\n"
    assert fault_of(set_spots(far_apart)).context["found"] == "pitch nan px"
    same_pixel = f"{HEADER}3\t2\t3\t2\t300\t200\t1\n4\t2\t4\t2\t300\t200\t1\n"
    assert fault_of(set_spots(same_pixel)).context["found"] == "pitch 0.0 px"


def test_all_faults_of_a_section_are_reported_at_once(set_spots: SetSpots, set_counts: SetCounts) -> None:
    set_spots(f"{HEADER}3\t2\t3\t2\t300\tnan\t1\nx\t2\t3\t2\t300\t200\t1\n")
    folder = set_counts(f"{GENES}3x2\t1\t-2\t3\n4x2\t1\t2\n")
    with pytest.raises(CohortError) as caught:
        read(folder)
    assert [fault.message for fault in caught.value.faults] == [
        "a coordinate is not finite",
        "a coordinate is not a number",
        "a count is negative",
        "a row is longer or shorter than the header",
    ]
    assert all(fault.context["section"] == "toy/A1" for fault in caught.value.faults)
    assert "gene=ACTB" in str(caught.value)


def test_a_table_of_the_wrong_kind_is_not_read_to_its_end(set_counts: SetCounts) -> None:
    folder = set_counts(GENES + "3x2\tno\n" * 1000)
    with pytest.raises(CohortError) as caught:
        read(folder)
    assert len(caught.value.faults) == MAX_PER_TABLE


def test_a_section_without_spot_file_cannot_be_read(cohort: Path) -> None:
    reader = Her2stReader()
    entry = reader.entries("toy", cohort)[0][0]
    without = type(entry)(entry.key, entry.patient_id, {"counts": entry.files["counts"]})
    with pytest.raises(MissingArtifactError, match="no spot file"):
        reader.read(without)
