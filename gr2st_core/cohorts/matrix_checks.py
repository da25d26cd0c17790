"""Whether a matrix that a library read holds raw molecule counts.

Belongs here: what scanpy and anndata accept without complaint and we do not (values that are no counts, indices out of
range, ids that are not unique), limits, genes that share a symbol. Does not belong here: any file format; which spots
the rows are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.cohorts.faults import Faults
from gr2st_core.settings import Limits
from gr2st_core.types import BoolArray, Counts

_MAX_COUNT = np.iinfo(np.int32).max
_RAW = "give the molecule counts as they were before normalisation, logarithm, scaling or imputation"


def within_limits(n_spots: int, n_cells: int, faults: Faults, *, file: Path, limits: Limits) -> bool:
    """Tell whether a matrix is small enough to be read, by what its file declares; if not, ``faults`` says why.

    Parameters
    ----------
    n_spots, n_cells
        Rows, and stored entries.
    """
    before = len(faults)
    for name, seen in (("max_spots", n_spots), ("max_cells", n_cells)):
        limit = getattr(limits, name)
        if not 0 <= seen <= limit:
            faults.add(
                "a count matrix is too large",
                file=file,
                field=f"limits.{name}",
                found=seen,
                expected=f"at most {limit}",
                hint=f"raise limits.{name} in the settings if the machine has the memory",
            )
    return len(faults) == before


def check_ids(ids: Sequence[str], faults: Faults, *, file: Path, field: str) -> None:
    """Note ids, e.g. of spots, that occur twice or are empty."""
    if doubled := sorted(name for name, n in Counter(ids).items() if n > 1):
        faults.add("an id occurs twice", file=file, field=field, found=doubled[:10], expected="unique ids")
    if "" in ids:
        faults.add("an id is empty", file=file, field=field, found=f"row {list(ids).index('')}", expected="a name")


def checked_counts(
    matrix: Any,
    genes: Sequence[str],
    faults: Faults,
    *,
    file: Path,
    limits: Limits,
    is_gene: BoolArray | None = None,
) -> Counts:
    """Give raw counts in the form that sections hold; what is wrong with them goes to ``faults``.

    Parameters
    ----------
    matrix
        scipy's sparse matrix or array of any format, or numpy's; spots in rows, genes in columns. It is left as it is.
    genes
        Symbol of every column. Columns that share a symbol are summed, in the place of the first: two Ensembl ids of
        one symbol are molecules of one gene to every panel, and a symbol made unique by a suffix is in none.
    faults
        Gets every fault; when it has got none the counts are sound.
    is_gene
        Columns to keep, shape ``(n_columns,)``; the others (antibodies, guides) are left out before anything is summed.

    Returns
    -------
    int32 CSR with sorted indices and no stored zeros, and unique symbols; without rows or genes if there was a fault.
    """
    before = len(faults)
    nothing = Counts(sparse.csr_matrix(np.zeros((0, 0), dtype=np.int32)), ())
    if matrix.ndim != 2 or matrix.shape[1] != len(genes):
        faults.add(
            "a count matrix does not have one column per gene",
            file=file,
            field="shape",
            found=tuple(matrix.shape),
            expected=f"(n_spots, {len(genes)})",
        )
        return nothing
    stored = int(matrix.nnz if hasattr(matrix, "nnz") else np.count_nonzero(matrix))
    if not within_limits(matrix.shape[0], stored, faults, file=file, limits=limits):
        return nothing
    if matrix.dtype.kind not in "iuf":
        faults.add("counts are not numbers", file=file, field="dtype", found=str(matrix.dtype), expected="integers")
        return nothing
    if fault := _broken_structure(matrix):
        faults.add(
            "a sparse matrix is damaged", file=file, field="indices", found=fault, hint="fetch or write the file again"
        )
        return nothing
    rows = _sorted_rows(matrix)
    if rows.nnz < stored or not rows.has_canonical_format:
        faults.add("a count is stored twice", file=file, field="indices", expected="one entry per spot and gene")
    if is_gene is not None and not is_gene.all():
        columns = np.flatnonzero(is_gene)
        rows, genes = rows[:, columns], [genes[column] for column in columns.tolist()]
    _check_symbols(genes, faults, file)
    _check_values(rows, genes, faults, file)
    if len(faults) == before and not rows.data.any():
        faults.add("a count matrix is empty", file=file, found=f"{rows.shape[0]} rows without a count")
    counts = nothing if len(faults) > before else _summed(rows, genes, faults, file)
    return nothing if len(faults) > before else counts


def _broken_structure(matrix: Any) -> str | None:
    """Say what makes the indices of a compressed matrix unusable; libraries crash on them, or read other memory."""
    if getattr(matrix, "format", None) not in ("csr", "csc"):
        return None  # scipy itself checks coordinates, the others cannot be out of range
    major, minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    starts, indices = matrix.indptr, matrix.indices
    if len(starts) != major + 1 or starts[0] != 0 or np.any(starts[1:] < starts[:-1]):
        return "index pointers that do not ascend from 0"
    if not starts[-1] == len(indices) == len(matrix.data):
        return f"{len(indices)} indices and {len(matrix.data)} values where {starts[-1]} are declared"
    if len(indices) and not (indices.min() >= 0 and indices.max() < minor):
        return f"indices from {indices.min()} to {indices.max()}, of {minor}"
    return None


def _sorted_rows(matrix: Any) -> sparse.csr_matrix:
    """Copy to CSR, entries by column; scipy adds up entries that are stored twice in coordinates, and no others."""
    converted = sparse.csr_matrix(matrix, copy=True)
    converted.sort_indices()
    return sparse.csr_matrix((converted.data, converted.indices, converted.indptr), shape=matrix.shape)


def _check_symbols(genes: Sequence[str], faults: Faults, file: Path) -> None:
    if "" in genes:
        faults.add("a column has no gene symbol", file=file, field="genes", found=f"column {list(genes).index('') + 1}")


def _check_values(rows: sparse.csr_matrix, genes: Sequence[str], faults: Faults, file: Path) -> None:
    """Note the first entry of every kind that no count can be."""
    values = rows.data
    kinds: list[tuple[str, NDArray[np.bool_], str | None]]
    kinds = [("a count is negative", values < 0, None), ("a count is too large", values > _MAX_COUNT, None)]
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        kinds = [(message, bad & finite, hint) for message, bad, hint in kinds]
        kinds.append(("a count is not finite", ~finite, None))
        kinds.append(
            ("counts are not integers: they are normalised already", finite & (values != np.floor(values)), _RAW)
        )
    for message, bad, hint in kinds:
        if n_bad := int(np.count_nonzero(bad)):
            first = int(np.argmax(bad))
            faults.add(
                message,
                file=file,
                field=f"row {int(np.searchsorted(rows.indptr, first, side='right'))}",
                gene=genes[rows.indices[first]],
                found=f"{values[first]} ({n_bad} such entries)",
                expected=f"an integer from 0 to {_MAX_COUNT}",
                hint=hint,
            )


def _summed(rows: sparse.csr_matrix, genes: Sequence[str], faults: Faults, file: Path) -> Counts:
    place: dict[str, int] = {}
    columns = np.array([place.setdefault(gene, len(place)) for gene in genes], dtype=np.int32)
    is_shared = len(place) < len(genes)
    may_overflow = rows.data.max() > _MAX_COUNT // max(Counter(genes).values())
    values: Any = rows.data.astype(np.int64 if may_overflow else np.int32)
    indices = columns[rows.indices] if is_shared else rows.indices
    counts = sparse.csr_matrix((values, indices, rows.indptr), shape=(rows.shape[0], len(place)))
    counts.sum_duplicates()
    counts.eliminate_zeros()
    if counts.data.max() > _MAX_COUNT:
        faults.add("a count is too large", file=file, found=int(counts.data.max()), expected=f"at most {_MAX_COUNT}")
    narrow: Any = counts.astype(np.int32, copy=False)
    return Counts(narrow, tuple(place))
