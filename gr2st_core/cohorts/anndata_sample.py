"""What an AnnData object says about the spots of one section, whatever file or store it lies in.

Belongs here: which matrix holds the counts, gene symbols, the patient, regions, grid and tissue columns. Does not
belong here: reading (``anndata_parts``), positions and scale, which differ between layouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.gene_names import are_ensembl
from gr2st_core.cohorts.matrix_checks import check_ids, checked_counts
from gr2st_core.errors import AlignmentError
from gr2st_core.types import BoolArray, Counts, FloatArray, StrArray

COUNTS_PLACES = (("layers/counts", "var"), ("raw/X", "raw/var"), ("X", "var"))
"""Where raw counts are looked for, in this order, and the table of their genes."""

_PATIENT_COLUMNS = ("patient", "patient_id", "donor", "donor_id")
_REGION_COLUMNS = ("region", "annotation", "pathologist_label")
_SYMBOL_COLUMNS = ("gene_symbols", "feature_name", "gene_name")
_HEXAGONAL = np.array([0.5, np.sqrt(3) / 2])  # pitches from column to column and from row to row


@dataclass(frozen=True, slots=True)
class Sample:
    """Spots of a section in the order of ``obs``, those off the tissue included.

    Attributes
    ----------
    obs
        The table itself.
    spot_ids
        Index of ``obs``.
    grid_xy
        ``array_col`` and ``array_row`` in units of the pitch, shape ``(n_spots, 2)``, or None.
    on_tissue
        ``in_tissue``, true where there is no such column.
    regions
        Label of every spot, or None.
    counts
        Rows follow ``spot_ids``.
    """

    obs: pd.DataFrame
    spot_ids: StrArray
    grid_xy: FloatArray | None
    on_tissue: BoolArray
    regions: StrArray | None
    counts: Counts


def read_sample(parts: AnnDataParts) -> Sample:
    """Read and check everything but positions and scale; what is wrong goes to the collector of ``parts``.

    Raises
    ------
    DataError
        The spots themselves cannot be read.
    """
    obs = parts.table("obs")
    if obs is None:
        if not len(parts.faults):
            parts.faults.add("an AnnData object has no table of spots", file=parts.file, field="obs")
        raise parts.faults.found[-1]
    spot_ids = [str(name) for name in obs.index]
    check_ids(spot_ids, parts.faults, file=parts.file, field="obs index")
    return Sample(
        obs=obs,
        spot_ids=np.array(spot_ids, dtype=np.str_),
        grid_xy=_grid(obs, parts),
        on_tissue=_on_tissue(obs, parts),
        regions=_regions(obs, parts),
        counts=_counts(parts, len(obs)),
    )


def patients_in(obs: pd.DataFrame) -> list[str]:
    """Distinct values of the first column that names patients, sorted; none without one."""
    column = next((name for name in _PATIENT_COLUMNS if name in obs.columns), None)
    return [] if column is None else sorted({str(value) for value in obs[column].dropna()})


def _counts(parts: AnnDataParts, n_spots: int) -> Counts:
    """Take the first matrix of integers; values after normalisation are refused, damage is never passed over."""
    nothing = Counts(sparse.csr_matrix(np.zeros((0, 0), dtype=np.int32)), ())
    fractions: dict[str, str] = {}
    for place, genes_place in COUNTS_PLACES:
        before = len(parts.faults)
        matrix = parts.matrix(place)
        if matrix is None and len(parts.faults) == before:
            continue
        if matrix is None:
            return nothing
        if fraction := _first_fraction(matrix):
            fractions[place] = fraction
            continue
        if matrix.shape[0] != n_spots:
            parts.faults.add(
                "a count matrix does not have one row per spot",
                AlignmentError,
                file=parts.file,
                field=place,
                found=tuple(matrix.shape),
                expected=f"({n_spots}, n_genes)",
            )
            return nothing
        var = parts.table(genes_place)
        genes = None if var is None else _symbols(var, parts, genes_place)
        if genes is None:
            return nothing
        found = Faults()
        counts = checked_counts(matrix, genes, found, file=parts.file, limits=parts.limits, is_gene=_is_gene(var))
        for fault in found.found:
            parts.faults.add(fault.message, type(fault), **{**fault.context, "matrix": place})
        return counts
    parts.faults.add(
        "counts are not integers: they are normalised already" if fractions else "an AnnData object has no counts",
        file=parts.file,
        field=", ".join(fractions) or None,
        found=fractions or None,
        expected=f"raw molecule counts in one of {', '.join(place for place, _ in COUNTS_PLACES)}",
        hint="put the counts as they were before normalisation into layers['counts']",
    )
    return nothing


def _first_fraction(matrix: Any) -> str | None:
    """Give the first entry that is finite and no integer; the matrix need not be sound."""
    values = np.asarray(matrix.data)
    if values.dtype.kind != "f":
        return None
    fractions = np.isfinite(values) & (values != np.floor(values))
    return str(values[np.argmax(fractions)]) if fractions.any() else None


def _is_gene(var: pd.DataFrame | None) -> BoolArray | None:
    """Tell genes from the antibodies and guides that Space Ranger counts beside them; None where nothing tells."""
    if var is None or "feature_types" not in var.columns:
        return None
    return np.asarray(var["feature_types"].astype(str) == "Gene Expression", dtype=np.bool_)


def _symbols(var: pd.DataFrame, parts: AnnDataParts, place: str) -> list[str] | None:
    index = [str(name) for name in var.index]
    if not are_ensembl(index):
        return index
    column = next((name for name in _SYMBOL_COLUMNS if name in var.columns), None)
    if column is None:
        parts.faults.add(
            "genes have Ensembl ids and no symbols",
            file=parts.file,
            field=f"{place} index",
            found=index[:3],
            expected=f"symbols in the index, or in a column {' or '.join(_SYMBOL_COLUMNS)}",
            hint="add the symbols as var['gene_symbols']",
        )
        return None
    named = var[column].astype(object).where(var[column].notna(), "")
    return [str(symbol) or gene for symbol, gene in zip(named, index, strict=True)]


def _regions(obs: pd.DataFrame, parts: AnnDataParts) -> StrArray | None:
    # A table of SpatialData names in such a column the shapes that a row belongs to: no label that a person gave.
    key = parts.text("uns/spatialdata_attrs/region_key")
    column = next((name for name in _REGION_COLUMNS if name in obs.columns and name != key), None)
    if column is None:
        return None
    return np.array(
        [str(label) if known else "" for label, known in zip(obs[column], obs[column].notna(), strict=True)]
    )


def _grid(obs: pd.DataFrame, parts: AnnDataParts) -> FloatArray | None:
    names = ["array_col", "array_row"]
    grid = _numbers(obs, names, parts) if set(names) <= set(obs.columns) else None
    # On the hexagonal grid of Visium columns are half a pitch apart, and the sum of column and row is always even.
    is_hexagonal = grid is not None and bool((grid.sum(axis=1) % 2 == 0).all())
    return grid * _HEXAGONAL if grid is not None and is_hexagonal else grid


def _on_tissue(obs: pd.DataFrame, parts: AnnDataParts) -> BoolArray:
    flags = _numbers(obs, ["in_tissue"], parts) if "in_tissue" in obs.columns else None
    return np.ones(len(obs), dtype=np.bool_) if flags is None else np.asarray(flags[:, 0] != 0)


def _numbers(obs: pd.DataFrame, names: list[str], parts: AnnDataParts) -> FloatArray | None:
    values: FloatArray = obs[names].astype(object).apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).all(axis=1)))
        parts.faults.add(
            "a column of spots is not finite numbers",
            file=parts.file,
            field=f"obs {', '.join(names)}",
            found=f"{obs[names].iloc[row].tolist()} of spot {obs.index[row]}",
            expected="numbers",
        )
        return None
    return values
