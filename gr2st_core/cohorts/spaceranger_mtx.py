"""The three text files of a 10x count matrix: ``matrix.mtx``, ``barcodes.tsv``, ``features.tsv`` or ``genes.tsv``.

Belongs here: finding and parsing the three, gzipped or not, features with one to three columns or more. Does not belong
here: whether the values are counts (``matrix_checks``).

``scanpy.read_10x_mtx`` reads gzipped files of the third version and plain ones of the second, both with two columns of
features at least; published cohorts have others, so scipy's parser, which it ends in too, is called here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from gr2st_core.cohorts.bounded_stream import DAMAGED, open_bounded
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import check_ids, checked_counts, within_limits
from gr2st_core.cohorts.table_stream import table_lines
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError
from gr2st_core.settings import Limits
from gr2st_core.types import Counts

GENE_EXPRESSION = "Gene Expression"
_AS_REAL = b"%%MatrixMarket matrix coordinate real general\n"
"""scipy reads ``7.5`` in a matrix that is declared one of integers as 7; read as reals it stays 7.5 and is refused."""


def read_mtx_folder(folder: Path, faults: Faults, limits: Limits) -> tuple[list[str], Counts | None]:
    """Barcodes in the file's order and the counts of genes; None, and faults noted, if they are not sound."""
    before = len(faults)
    paths = [_one_of(folder, stems, faults) for stems in (("barcodes.tsv",), ("features.tsv", "genes.tsv"))]
    matrix_path = _one_of(folder, ("matrix.mtx",), faults)
    if matrix_path is None or None in paths:
        return [], None
    barcodes_path, features_path = (path for path in paths if path is not None)
    barcodes = [fields[0] for fields in _read_fields(barcodes_path, faults, limits)]
    features = _read_fields(features_path, faults, limits)
    if len(faults) > before:
        return [], None
    check_ids(barcodes, faults, file=barcodes_path, field="barcodes")
    shape = (len(features), len(barcodes))
    matrix = _read_matrix(matrix_path, shape, faults, limits)
    if matrix is None or len(faults) > before:
        return [], None
    genes = [fields[1] if len(fields) > 1 else fields[0] for fields in features]
    is_gene = np.array([len(fields) < 3 or fields[2] == GENE_EXPRESSION for fields in features], dtype=np.bool_)
    counts = checked_counts(matrix.T, genes, faults, file=matrix_path, limits=limits, is_gene=is_gene)
    return barcodes, counts


def _one_of(folder: Path, stems: tuple[str, ...], faults: Faults) -> Path | None:
    names = [f"{stem}{suffix}" for stem in stems for suffix in (".gz", "")]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) == 1:
        return found[0]
    faults.add(
        "a count matrix lacks a file" if not found else "a count matrix has a file twice",
        MissingArtifactError if not found else SchemaError,
        file=folder / stems[0],
        found=[path.name for path in found],
        expected=f"one of {', '.join(names)}",
    )
    return None


def _read_fields(path: Path, faults: Faults, limits: Limits) -> list[list[str]]:
    """Fields of every line of a table without a header; none where it is not text."""
    lines = list(table_lines(path, faults, max_bytes=limits.max_bytes))
    try:
        return [line.decode("utf-8").split("\t") for line in lines]
    except UnicodeDecodeError as error:
        faults.add(
            "a table is not UTF-8 text", file=path, found=f"byte {error.start}: {error.reason}", expected="UTF-8"
        )
    return []


def _read_matrix(path: Path, shape: tuple[int, int], faults: Faults, limits: Limits) -> Any:
    """Genes by spots, in coordinates; None, and faults noted, if it cannot be read."""
    from scipy.io import mminfo, mmread

    try:
        with open_bounded(path, limits) as stream:
            *declared, n_entries, form, field, symmetry = mminfo(stream)
        if (form, symmetry) != ("coordinate", "general") or field not in ("integer", "real"):
            faults.add(
                "a matrix file is of another kind",
                file=path,
                field="header",
                found=f"{form} {field} {symmetry}",
                expected="coordinate integer general",
            )
        elif tuple(declared) != shape:
            faults.add(
                "a matrix has not the size of its lists of features and barcodes",
                file=path,
                field="header",
                found=tuple(declared),
                expected=shape,
            )
        elif within_limits(shape[1], n_entries, faults, file=path, limits=limits):
            with open_bounded(path, limits) as stream:
                stream.readline()
                return mmread(io.BufferedReader(_Joined(_AS_REAL, stream)))
    except DataError as error:
        faults.take(error)
    except DAMAGED as error:
        faults.add("a gzip file is truncated or damaged", file=path, found=str(error), hint="fetch the file again")
    except (ValueError, OverflowError) as error:
        faults.add("a matrix file is damaged", file=path, found=str(error), hint="fetch the file again")
    return None


class _Joined(io.RawIOBase):
    """Bytes, then those of a stream."""

    def __init__(self, start: bytes, stream: io.BufferedReader) -> None:
        self._parts: list[Any] = [io.BytesIO(start), stream]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for part in self._parts:
            if n_read := part.readinto(buffer):
                return int(n_read)
        return 0
