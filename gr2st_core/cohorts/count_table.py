"""Count tables: tab-separated integers, spots by genes or genes by spots, plain or gzipped.

Belongs here: parsing one table into sparse counts without ever holding it dense, and naming its faults. Does not
belong here: which spots the rows belong to, what genes are called elsewhere (``gene_names``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.cohorts.count_rows import add_row_fault, parse_counts
from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.cohorts.table_stream import table_lines
from gr2st_core.settings import Limits
from gr2st_core.types import Counts

SPOT_KEY = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,20})?)x([0-9]{1,6}(?:\.[0-9]{1,20})?)")
"""How Spatial Transcriptomics names a spot: column and row on the array, which may have decimals."""

_SparseRow = tuple[NDArray[np.int32], NDArray[np.int32]]  # columns, values


def read_count_table(path: Path, faults: Faults, limits: Limits) -> tuple[list[str], Counts]:
    """Parse a table of counts with a header and a name before every row.

    Rows are spots unless the header holds spot keys and the first row has another name: then they are genes. The
    header may have a field above the names of the rows or lack it.

    Parameters
    ----------
    faults
        Gets every fault; when it has got none the table is sound.
    limits
        ``max_bytes`` unpacked, ``max_cells`` other than zero.

    Returns
    -------
    Spot ids in file order and their counts (int32, CSR); of rows with a fault, nothing.
    """
    faults_before = len(faults)
    lines = table_lines(path, faults, max_bytes=limits.max_bytes)
    header, first = next(lines, b""), next(lines, b"")
    columns = _columns(header, first, path, faults)
    is_transposed = spots_in_columns(columns, _decode(first.partition(b"\t")[0]))
    kinds = ("gene", "spot") if is_transposed else ("spot", "gene")
    if len(faults) == faults_before:
        _check_names(columns, kinds[1], "column", path, faults)
    rows = chain([first] if first else [], lines)
    names, matrix = _parse_rows(rows, columns, kinds[1], path, faults, limits)
    if len(faults) == faults_before:
        _check_names(names, kinds[0], "row", path, faults)
    spot_ids, genes = (columns, names) if is_transposed else (names, columns)
    if len(spot_ids) > limits.max_spots:
        faults.add(
            "a count table has too many spots",
            file=path,
            found=f"{len(spot_ids)} spots",
            expected=f"at most {limits.max_spots}",
            hint="the setting is limits.max_spots",
        )
    return spot_ids, Counts(sparse.csr_matrix(matrix.T) if is_transposed else matrix, tuple(genes))


def spots_in_columns(columns: Sequence[str], first_row: str) -> bool:
    """Tell whether a table has spots in columns, by the names of its columns and of its first row."""
    return bool(columns and SPOT_KEY.fullmatch(columns[0])) and not SPOT_KEY.fullmatch(first_row)


def _columns(header: bytes, first: bytes, path: Path, faults: Faults) -> list[str]:
    """Names of the columns: the fields of the header, but for one above the names of the rows if it has one."""
    lacks_corner = not header.startswith(b"\t") and first.count(b"\t") == header.count(b"\t") + 1
    start = 0 if lacks_corner else 1
    try:
        return header.decode("utf-8").split("\t")[start:]
    except UnicodeDecodeError as error:
        faults.add(
            "a table is not UTF-8 text", file=path, field="header", found=f"byte {error.start}", expected="UTF-8"
        )
        return [f"column {number}" for number in range(start, header.count(b"\t") + 1)]


def _decode(name: bytes) -> str:
    return name.decode("utf-8", errors="backslashreplace")


def _parse_rows(
    lines: Iterator[bytes], columns: Sequence[str], axis: str, path: Path, faults: Faults, limits: Limits
) -> tuple[list[str], sparse.csr_matrix]:
    names: list[str] = []
    rows: list[_SparseRow] = []
    n_cells, faults_before = 0, len(faults)
    for number, line in enumerate(lines, start=2):
        name, _, text = line.partition(b"\t")
        counts = parse_counts(text, len(columns))
        label = f"line {number}"
        if counts is None:
            gene = _decode(name) if axis == "spot" else None
            add_row_fault(text, columns, faults, path, label=label, row=gene, axis=axis)
        else:
            names.append(_decode(name))
            places = np.flatnonzero(counts).astype(np.int32)
            rows.append((places, counts[places].astype(np.int32)))
            n_cells += len(places)
        if n_cells > limits.max_cells:
            faults.add(
                "a count table has too many entries",
                file=path,
                field=label,
                found=f"{n_cells} counts other than zero",
                expected=f"at most {limits.max_cells}",
                hint="the setting is limits.max_cells",
            )
        if n_cells > limits.max_cells or len(faults) - faults_before >= MAX_PER_TABLE:
            break
    return names, _stack(rows, len(columns))


def _check_names(names: Sequence[str], kind: str, axis: str, path: Path, faults: Faults) -> None:
    if not names:
        faults.add("a count table is empty", file=path, found=f"no {axis}s", expected=f"one {axis} a {kind}")
    if doubled := sorted(name for name, n in Counter(names).items() if n > 1):
        faults.add(
            f"a {kind} has two {axis}s",
            file=path,
            field="header" if axis == "column" else "first field",
            found=doubled[:10],
            expected="unique names",
        )
    if "" in names:
        faults.add(f"a {axis} has no name", file=path, field=f"{axis} {names.index('') + 2}", expected=f"a {kind}")


def _stack(rows: list[_SparseRow], n_columns: int) -> sparse.csr_matrix:
    nothing = np.zeros(0, dtype=np.int32)
    columns = np.concatenate([columns for columns, _ in rows] or [nothing])
    values = np.concatenate([values for _, values in rows] or [nothing])
    ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), n_columns))
