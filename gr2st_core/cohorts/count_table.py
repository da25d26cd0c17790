"""Gzipped count tables: spots in rows, genes in columns, tab-separated integers.

Belongs here: parsing one table into sparse counts without ever holding it dense, and naming its faults. Does not
belong here: which spots the rows belong to.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gr2st_core.cohorts.faults import MAX_PER_TABLE, Faults
from gr2st_core.types import Counts

_MAX_COUNT = np.iinfo(np.int32).max
_MAX_LINE = 2**22  # bytes; a row of 15,000 genes takes 40 thousand

_SparseRow = tuple[NDArray[np.int32], NDArray[np.int32]]  # columns, values


def read_count_table(path: Path, faults: Faults, *, max_bytes: int) -> tuple[list[str], Counts]:
    """Parse a table whose header is an unused field and the gene symbols, and whose rows are a spot id and counts.

    Parameters
    ----------
    faults
        Gets every fault; when it has got none the table is sound.
    max_bytes
        Unpacked size at which reading stops: a small archive may unpack to anything.

    Returns
    -------
    Spot ids in file order and their counts (int32, CSR); of rows with a fault, nothing.
    """
    spot_ids: list[str] = []
    rows: list[_SparseRow] = []
    genes: list[str] = []
    faults_before = len(faults)
    try:
        with gzip.open(path, "rb") as stream:
            lines = _lines(stream, path, faults, max_bytes)
            genes = _genes(next(lines, b""), path, faults)
            for number, line in enumerate(lines, start=2):
                spot_id, _, text = line.partition(b"\t")
                counts = _parse(text, len(genes))
                if counts is None:
                    _add_row_fault(text, genes, faults, path, f"line {number}")
                else:
                    spot_ids.append(spot_id.decode("utf-8", errors="backslashreplace"))
                    columns = np.flatnonzero(counts).astype(np.int32)
                    rows.append((columns, counts[columns].astype(np.int32)))
                if len(faults) - faults_before >= MAX_PER_TABLE:
                    break
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        faults.add("a gzip file is truncated or damaged", file=path, found=str(error), hint="fetch the file again")
    if len(faults) == faults_before:
        _check_ids(spot_ids, path, faults)
    return spot_ids, Counts(_stack(rows, len(genes)), tuple(genes))


def _lines(stream: gzip.GzipFile, path: Path, faults: Faults, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    while line := stream.readline(_MAX_LINE + 1):
        left -= len(line)
        if len(line) > _MAX_LINE:
            faults.add("a line is too long", file=path, expected=f"at most {_MAX_LINE} bytes")
            return
        if left < 0:
            faults.add("a count table unpacks to too many bytes", file=path, expected=f"at most {max_bytes} bytes")
            return
        yield line.rstrip(b"\r\n")


def _genes(header: bytes, path: Path, faults: Faults) -> list[str]:
    try:
        genes = header.decode("utf-8").split("\t")[1:]
    except UnicodeDecodeError as error:
        faults.add(
            "a table is not UTF-8 text", file=path, field="header", found=f"byte {error.start}", expected="UTF-8"
        )
        return [f"column {number}" for number in range(1, header.count(b"\t") + 1)]
    if not genes:
        faults.add(
            "a count table is empty", file=path, found=f"{len(header)} bytes", expected="a header of gene symbols"
        )
    if doubled := sorted(gene for gene, n in Counter(genes).items() if n > 1):
        faults.add("a gene has two columns", file=path, field="header", found=doubled[:10], expected="unique symbols")
    if "" in genes:
        faults.add("a column has no gene symbol", file=path, field=f"column {genes.index('') + 2}")
    return genes


def _parse(text: bytes, n_genes: int) -> NDArray[np.int64] | None:
    """Read the counts of a row, or None unless it is ``n_genes`` unsigned integers between single tabs."""
    well_formed = (
        text.count(b"\t") == n_genes - 1
        and not text.translate(None, b"0123456789\t")
        and b"\t\t" not in b"\t" + text + b"\t"
    )
    if not well_formed:
        return None
    counts: NDArray[np.int64] = np.fromstring(text, dtype=np.int64, sep="\t")
    return None if counts.max() > _MAX_COUNT else counts


def _add_row_fault(text: bytes, genes: list[str], faults: Faults, path: Path, label: str) -> None:
    fields = text.decode("utf-8", errors="backslashreplace").split("\t")
    if len(fields) != len(genes):
        faults.add(
            "a row is longer or shorter than the header",
            file=path,
            field=label,
            found=f"{len(fields)} counts",
            expected=f"{len(genes)} counts",
        )
        return
    cells = zip(genes, fields, strict=True)
    gene, value, fault = next((gene, value, fault) for gene, value in cells if (fault := _fault_of(value)))
    faults.add(
        fault, file=path, field=label, gene=gene, found=repr(value[:40]), expected=f"an integer from 0 to {_MAX_COUNT}"
    )


def _fault_of(text: str) -> str | None:
    """Say why ``text`` is no count, or None if it is one."""
    if text.isascii() and text.isdigit():
        return None if int(text.lstrip("0")[:11] or "0") <= _MAX_COUNT else "a count is too large"
    try:
        value = float(text)
    except ValueError:
        return "a count is missing" if not text.strip() else "a count is not a number"
    if not np.isfinite(value):
        return "a count is not finite"
    return "a count is negative" if value < 0 else "a count is not an integer"


def _check_ids(spot_ids: list[str], path: Path, faults: Faults) -> None:
    if not spot_ids:
        faults.add("a count table is empty", file=path, found="no rows", expected="one row a spot")
    if doubled := sorted(spot for spot, n in Counter(spot_ids).items() if n > 1):
        faults.add("a spot has two count rows", file=path, found=doubled[:10], expected="unique spot ids")


def _stack(rows: list[_SparseRow], n_genes: int) -> sparse.csr_matrix:
    nothing = np.zeros(0, dtype=np.int32)
    columns = np.concatenate([columns for columns, _ in rows] or [nothing])
    values = np.concatenate([values for _, values in rows] or [nothing])
    ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
    return sparse.csr_matrix((values, columns, ends), shape=(len(rows), n_genes))
