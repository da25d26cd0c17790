"""What a library reads as a matrix is taken for counts only if it can be counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import check_ids, checked_counts
from gr2st_core.errors import DataError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import Counts

FILE = Path("matrix.h5ad")
COUNTS = np.array([[0, 1, 2], [3, 0, 4]])


def checked(matrix: Any, genes: str = "abc", limits: Limits = DEFAULT_LIMITS, **options: Any) -> tuple[Counts, Faults]:
    faults = Faults(section="toy/A")
    return checked_counts(matrix, list(genes), faults, file=FILE, limits=limits, **options), faults


def fault_of(matrix: Any, genes: str = "abc", limits: Limits = DEFAULT_LIMITS) -> DataError:
    counts, faults = checked(matrix, genes, limits)
    assert len(faults) == 1, faults.found
    assert counts.matrix.shape == (0, 0)
    assert (faults.found[0].context["file"], faults.found[0].context["section"]) == (FILE, "toy/A")
    return faults.found[0]


@pytest.mark.parametrize(
    "made",
    [
        np.asarray,
        np.float32,
        sparse.csr_matrix,
        sparse.csc_matrix,
        sparse.csr_array,
        sparse.coo_array,
        sparse.lil_matrix,
    ],
)
def test_every_form_of_a_matrix_gives_the_same_counts(made: Any) -> None:
    matrix = made(COUNTS)
    before = matrix.copy()
    counts, faults = checked(matrix)
    assert faults.found == []
    assert counts.genes == ("a", "b", "c")
    assert counts.matrix.toarray().tolist() == COUNTS.tolist()
    assert (counts.matrix.dtype, counts.matrix.indices.dtype) == (np.int32, np.int32)
    assert counts.matrix.has_sorted_indices
    assert counts.matrix.nnz == 4
    assert abs(matrix - before).sum() == 0


def test_genes_of_one_symbol_are_summed_in_the_place_of_the_first() -> None:
    counts, faults = checked(COUNTS, "aba")
    assert faults.found == []
    assert counts.genes == ("a", "b")
    assert counts.matrix.toarray().tolist() == [[2, 1], [7, 0]]


def test_a_sum_that_is_too_large_is_a_fault() -> None:
    fault = fault_of(np.array([[2**31 - 1, 1]]), "aa")
    assert (fault.message, fault.context["found"]) == ("a count is too large", 2**31)


def test_columns_that_are_no_genes_are_left_out_before_anything_is_summed() -> None:
    counts, faults = checked(COUNTS, "aba", is_gene=np.array([True, True, False]))
    assert faults.found == []
    assert counts.genes == ("a", "b")
    assert counts.matrix.toarray().tolist() == [[0, 1], [3, 0]]


def test_unsorted_indices_are_sorted_and_stored_zeros_dropped() -> None:
    counts, faults = checked(sparse.csr_matrix(([2, 1, 0, 3], [2, 1, 0, 0], [0, 3, 4]), shape=(2, 3)))
    assert faults.found == []
    assert counts.matrix.indices.tolist() == [1, 2, 0]
    assert counts.matrix.data.tolist() == [1, 2, 3]


def _with(**parts: Any) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(COUNTS)
    for name, value in parts.items():
        setattr(matrix, name, np.array(value, dtype=np.int32))
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message", "field", "found"),
    [
        (COUNTS + 0.5, "counts are not integers: they are normalised already", "row 1", "0.5 (6 such entries)"),
        (-COUNTS, "a count is negative", "row 1", "-1 (4 such entries)"),
        (np.where(COUNTS == 4, np.nan, COUNTS), "a count is not finite", "row 2", "nan (1 such entries)"),
        (np.where(COUNTS == 4, -np.inf, COUNTS), "a count is not finite", "row 2", "-inf (1 such entries)"),
        (COUNTS * 10**10, "a count is too large", "row 1", "10000000000 (4 such entries)"),
        (COUNTS > 0, "counts are not numbers", "dtype", "bool"),
        (COUNTS * 0, "a count matrix is empty", None, "2 rows without a count"),
        (COUNTS[:, :2], "a count matrix does not have one column per gene", "shape", (2, 2)),
        (_with(indices=[1, 2, 0, 7]), "a sparse matrix is damaged", "indices", "indices from 0 to 7, of 3"),
        (_with(indices=[1, 2, 0, -1]), "a sparse matrix is damaged", "indices", "indices from -1 to 2, of 3"),
        (_with(indptr=[0, 5, 4]), "a sparse matrix is damaged", "indices", "index pointers that do not ascend from 0"),
        (_with(indices=[1, 1, 0, 2]), "a count is stored twice", "indices", None),
        (sparse.coo_matrix(([1, 2], ([0, 0], [1, 1])), shape=(2, 3)), "a count is stored twice", "indices", None),
    ],
)
def test_what_cannot_be_counts_is_named(matrix: Any, message: str, field: str | None, found: object) -> None:
    fault = fault_of(matrix)
    assert fault.message == message
    assert fault.context.get("field") == field
    assert fault.context.get("found") == found


def test_a_gene_without_a_symbol_is_a_fault() -> None:
    counts, faults = checked_counts_of_nameless()
    assert [fault.message for fault in faults.found] == ["a column has no gene symbol"]
    assert faults.found[0].context["found"] == "column 2"
    assert counts.genes == ()


def checked_counts_of_nameless() -> tuple[Counts, Faults]:
    faults = Faults()
    return checked_counts(COUNTS, ["a", "", "c"], faults, file=FILE, limits=DEFAULT_LIMITS), faults


@pytest.mark.parametrize(("name", "limit", "seen"), [("max_cells", 3, 4), ("max_spots", 1, 2)])
def test_limits_are_named_with_what_was_seen(name: str, limit: int, seen: int) -> None:
    fault = fault_of(sparse.csr_matrix(COUNTS), limits=Limits(**{name: limit}))
    assert (fault.context["field"], fault.context["found"]) == (f"limits.{name}", seen)
    assert fault.context["expected"] == f"at most {limit}"


def test_all_kinds_of_faults_are_named_at_once() -> None:
    _, faults = checked(np.array([[np.nan, -1.0, 0.5]]))
    assert sorted(fault.context["gene"] for fault in faults.found) == ["a", "b", "c"]


def test_ids_are_unique_and_not_empty() -> None:
    faults = Faults()
    check_ids(["a", "b", "a", ""], faults, file=FILE, field="spots")
    assert [fault.context["found"] for fault in faults.found] == [["a"], "row 3"]
