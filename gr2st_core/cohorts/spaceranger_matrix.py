"""The count matrix of a Space Ranger sample: an HDF5 file of the second or third version, or a folder of text files.

Belongs here: loading the HDF5 file. Does not belong here: what it declares (``spaceranger_declared``), the text files
(``spaceranger_mtx``), which file of a sample it is (``spaceranger_listing``), whether the values are counts
(``matrix_checks``).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import check_ids, checked_counts
from gr2st_core.cohorts.spaceranger_declared import check_declared, matrix_group, refuse_probes
from gr2st_core.cohorts.spaceranger_mtx import GENE_EXPRESSION, read_mtx_folder
from gr2st_core.containers.hdf5_guard import open_hdf5
from gr2st_core.errors import SchemaError
from gr2st_core.settings import Limits
from gr2st_core.types import BoolArray, Counts

_PROBE_ID = re.compile(r"[^|]+\|[^|]+\|[0-9a-f]{7}")  # ENSG00000000003|TSPAN6|8eab823
_EXACT = 2**24
"""scanpy loads counts as 32-bit floats, which hold integers up to this."""


def read_matrix(path: Path, faults: Faults, limits: Limits) -> tuple[list[str], Counts | None]:
    """Barcodes in the file's order and the counts of genes; None, and faults noted, if they are not sound.

    Features that are not ``Gene Expression`` are left out; genes that share a symbol are summed.
    """
    return read_mtx_folder(path, faults, limits) if path.is_dir() else _read_h5(path, faults, limits)


def holds_10x_matrix(path: Path) -> bool:
    """Tell whether a file is an HDF5 file with a 10x count matrix; false if it cannot be opened."""
    try:
        with open_hdf5(path) as file:
            return matrix_group(file) is not None
    except SchemaError:
        return False  # what it is cannot be said, so it is not taken for one


def _read_h5(path: Path, faults: Faults, limits: Limits) -> tuple[list[str], Counts | None]:
    before = len(faults)
    try:
        with open_hdf5(path) as file:
            check_declared(file, path, faults, limits)
            if len(faults) == before:
                return _load(path, faults, limits)
    except SchemaError as error:
        faults.take(error)
    return [], None


def _load(path: Path, faults: Faults, limits: Limits) -> tuple[list[str], Counts | None]:
    import scanpy

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* names are not unique")  # judged below
        table = scanpy.read_10x_h5(path, gex_only=False)
    barcodes, genes = table.obs_names.tolist(), table.var_names.tolist()
    check_ids(barcodes, faults, file=path, field="barcodes")
    if _are_probes(table.var["gene_ids"].tolist()):
        refuse_probes(path, faults, table.var["gene_ids"].tolist()[:3])
        return [], None
    is_gene: BoolArray | None = None
    if "feature_types" in table.var:
        is_gene = np.asarray(table.var["feature_types"] == GENE_EXPRESSION, dtype=np.bool_)
    counts = checked_counts(table.X, genes, faults, file=path, limits=limits, is_gene=is_gene)
    if counts.matrix.nnz and int(counts.matrix.data.max()) >= _EXACT:
        faults.add("a count is too large to be read exactly", file=path, found=f">= {_EXACT}", expected=f"< {_EXACT}")
    return barcodes, counts


def _are_probes(ids: Sequence[str]) -> bool:
    return sum(_PROBE_ID.fullmatch(name) is not None for name in ids) > len(ids) / 2
