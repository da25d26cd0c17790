"""Count tables are read whichever way they lie, plain or packed, and within their limits."""

import gzip
from pathlib import Path

import pytest

from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import Faults
from gr2st_core.errors import DataError
from gr2st_core.settings import DEFAULT_LIMITS, Limits

SPOTS_IN_ROWS = "\tERBB2\tACTB\n3x2\t12\t0\n4x2\t0\t7\n3x3\t1\t5\n"
GENES_IN_ROWS = "\t3x2\t4x2\t3x3\nERBB2\t12\t0\t1\nACTB\t0\t7\t5\n"


def read(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[list[str], tuple[str, ...], list[list[int]]]:
    faults = Faults(section="toy/A1")
    spot_ids, counts = read_count_table(path, faults, limits)
    assert [str(fault) for fault in faults.found] == []
    return spot_ids, counts.genes, counts.matrix.toarray().tolist()


def fault_of(folder: Path, text: str, limits: Limits = DEFAULT_LIMITS) -> DataError:
    path = folder / "table.tsv"
    path.write_text(text)
    faults = Faults(section="toy/A1")
    read_count_table(path, faults, limits)
    assert len(faults) == 1, [str(fault) for fault in faults.found]
    assert faults.found[0].context["file"] == path
    return faults.found[0]


@pytest.mark.parametrize(
    "text",
    [
        SPOTS_IN_ROWS,
        GENES_IN_ROWS,
        SPOTS_IN_ROWS.removeprefix("\t"),
        GENES_IN_ROWS.removeprefix("\t"),
        "gene" + GENES_IN_ROWS,
        GENES_IN_ROWS.replace("\n", "\r\n"),
    ],
    ids=["spots", "genes", "spots, no corner", "genes, no corner", "genes, named corner", "windows"],
)
@pytest.mark.parametrize("name", ["table.tsv", "table.tsv.gz", "packed.tsv"])
def test_a_table_says_the_same_whichever_way_it_lies(tmp_path: Path, text: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode() if name == "table.tsv" else gzip.compress(text.encode()))
    assert read(path) == (["3x2", "4x2", "3x3"], ("ERBB2", "ACTB"), [[12, 0], [0, 7], [1, 5]])


@pytest.mark.parametrize(
    ("text", "message", "field", "found"),
    [
        (GENES_IN_ROWS.replace("7", "7.5"), "a count is not an integer", "line 3", "'7.5'"),
        (GENES_IN_ROWS.replace("7", "-7"), "a count is negative", "line 3", "'-7'"),
        (GENES_IN_ROWS.replace("7", "NaN"), "a count is not finite", "line 3", "'NaN'"),
        (GENES_IN_ROWS.replace("4x2", "3x2"), "a spot has two columns", "header", ["3x2"]),
        (GENES_IN_ROWS.replace("ACTB", "ERBB2"), "a gene has two rows", "first field", ["ERBB2"]),
        (GENES_IN_ROWS.replace("ACTB", ""), "a row has no name", "row 3", None),
        ("\t3x2\t4x2\n", "a count table is empty", None, "no rows"),
    ],
)
def test_a_bad_table_with_genes_in_rows_is_named(
    tmp_path: Path, text: str, message: str, field: str | None, found: object
) -> None:
    fault = fault_of(tmp_path, text)
    assert (fault.message, fault.context.get("field"), fault.context.get("found")) == (message, field, found)


def test_a_bad_count_names_gene_and_spot(tmp_path: Path) -> None:
    context = fault_of(tmp_path, GENES_IN_ROWS.replace("7", "x")).context
    assert (context["gene"], context["spot"]) == ("ACTB", "4x2")


@pytest.mark.parametrize(
    ("limits", "message", "found", "hint"),
    [
        (Limits(max_cells=2), "a count table has too many entries", "4 counts other than zero", "limits.max_cells"),
        (Limits(max_spots=2), "a count table has too many spots", "3 spots", "limits.max_spots"),
        (Limits(max_bytes=20), "a table unpacks to too many bytes", "more than 20 bytes", "limits.max_bytes"),
    ],
)
def test_a_table_beyond_a_limit_names_it(tmp_path: Path, limits: Limits, message: str, found: str, hint: str) -> None:
    fault = fault_of(tmp_path, SPOTS_IN_ROWS, limits)
    assert (fault.message, fault.context["found"]) == (message, found)
    assert fault.context["hint"] == f"the setting is {hint}"
