"""Where the spots of a Visium sample are: ``tissue_positions_list.csv``, ``tissue_positions.csv`` or ``.parquet``.

Belongs here: parsing the three, and the geometry of both capture grids. Does not belong here: scale (``visium_scale``),
counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import check_ids, within_limits
from gr2st_core.settings import Limits
from gr2st_core.types import BoolArray, FloatArray, StrArray

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")

_MAX_CSV_BYTES = 2**26  # a list of 14,336 spots takes under one million
_HEX_UNIT = np.array([0.5, np.sqrt(3) / 2])


@dataclass(frozen=True, slots=True)
class Positions:
    """Spots in file order: those under tissue, and others that were asked for.

    Attributes
    ----------
    spot_ids
        Barcodes.
    in_tissue
        Whether tissue was detected over the spot, shape ``(n_spots,)``.
    grid
        ``array_col``, ``array_row``, shape ``(n_spots, 2)``.
    fullres_xy
        Spot centres in pixels of the full-resolution image, x right, y down, shape ``(n_spots, 2)``.
    """

    spot_ids: StrArray
    in_tissue: BoolArray
    grid: FloatArray
    fullres_xy: FloatArray


def in_pitches(grid: FloatArray, *, is_square: bool) -> FloatArray:
    """Place on the capture grid in units of its pitch, shape ``(n_spots, 2)``.

    Bins of Visium HD are as many pitches apart as their numbers say. Spots of Visium stand in a hexagonal grid whose
    numbers count half a pitch along a row and sqrt(3)/2 from row to row: taken as they are, they would stretch every
    distance that a method measures on the grid.
    """
    return grid if is_square else grid * _HEX_UNIT


def read_positions(path: Path, counted: Collection[str], faults: Faults, limits: Limits) -> Positions:
    """Parse a table of positions; what is wrong with it goes to ``faults``.

    Parameters
    ----------
    counted
        Barcodes that are kept even if there is no tissue over them.
    """
    before = len(faults)
    kept = pd.Index(list(counted), dtype=object)
    parquet = path.suffix == ".parquet"
    table = _read_parquet(path, kept, faults, limits) if parquet else _read_csv(path, kept, faults)
    if len(faults) == before:
        within_limits(len(table), 0, faults, file=path, limits=limits)
        check_ids(table["barcode"].tolist(), faults, file=path, field="barcode")
        numbers = _checked_numbers(table, path, faults)
        if table.empty:
            faults.add("no spot is under tissue", file=path, field="in_tissue", expected="in_tissue = 1 in some rows")
    if len(faults) > before:
        nothing = np.zeros((0, 2))
        return Positions(np.zeros(0, dtype=np.str_), np.zeros(0, dtype=np.bool_), nothing, nothing)
    return Positions(
        table["barcode"].to_numpy(dtype=np.str_),
        numbers[:, 0] == 1,
        numbers[:, [2, 1]],
        numbers[:, [4, 3]],
    )


def _read_csv(path: Path, counted: pd.Index, faults: Faults) -> pd.DataFrame:
    """All columns as text, with or without a header line, which tells the versions apart better than the name does."""
    nothing = pd.DataFrame(columns=list(COLUMNS))
    if (size := path.stat().st_size) > _MAX_CSV_BYTES:
        faults.add("a table is too large", file=path, found=f"{size} bytes", expected=f"at most {_MAX_CSV_BYTES} bytes")
        return nothing
    try:
        with path.open(encoding="utf-8") as stream:
            has_header = stream.readline().startswith("barcode,")
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            header=0 if has_header else None,
            names=None if has_header else list(COLUMNS),
            index_col=False,
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        faults.add("a table of positions cannot be read", file=path, found=str(error), expected=f"{COLUMNS}, as CSV")
        return nothing
    if not _has_columns(table.columns, path, faults):
        return nothing
    return table[(table["in_tissue"] != "0") | table["barcode"].isin(counted)]


def _read_parquet(path: Path, counted: pd.Index, faults: Faults, limits: Limits) -> pd.DataFrame:
    """Rows that are kept, gathered batch by batch: the table lists every bin of the slide, millions of them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    nothing = pd.DataFrame(columns=list(COLUMNS))
    values = pa.array(counted, type=pa.string())
    batches, n_kept = [], 0
    try:
        with pq.ParquetFile(path) as file:
            if not _has_columns(file.schema_arrow.names, path, faults):
                return nothing
            for batch in file.iter_batches(columns=list(COLUMNS)):
                under = pc.not_equal(batch["in_tissue"], 0)
                batches.append(batch.filter(pc.or_(under, pc.is_in(batch["barcode"].cast(pa.string()), values))))
                n_kept += batches[-1].num_rows
                if n_kept > limits.max_spots:
                    break
        return pa.Table.from_batches(batches).to_pandas() if batches else nothing
    except (pa.ArrowException, OSError, ValueError) as error:
        faults.add("a parquet file is damaged", file=path, found=str(error)[:200], hint="fetch the file again")
    return nothing


def _has_columns(found: Collection[str], path: Path, faults: Faults) -> bool:
    if missing := [name for name in COLUMNS if name not in found]:
        faults.add(
            "a table of positions lacks columns", file=path, field=missing, found=list(found)[:20], expected=COLUMNS
        )
    return not missing


def _checked_numbers(table: pd.DataFrame, path: Path, faults: Faults) -> FloatArray:
    """The five columns of numbers, shape ``(n_spots, 5)``; the first fault of every kind is noted."""
    numbers: FloatArray = table[list(COLUMNS[1:])].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    whole = numbers[:, :3]
    is_place = np.isfinite(whole) & (whole >= 0) & (whole == np.floor(whole))
    for is_right, names, expected in (
        (np.isfinite(numbers).all(axis=1), COLUMNS[1:], "finite numbers"),
        (np.isin(numbers[:, 0], (0, 1)), COLUMNS[1:2], "0 or 1"),
        (is_place.all(axis=1), COLUMNS[2:4], "integers from 0"),
    ):
        if not is_right.all():
            wrong = table.iloc[int(np.argmin(is_right))]
            faults.add(
                "a position is not what it must be",
                file=path,
                field=", ".join(names),
                found=wrong[list(COLUMNS)].tolist(),
                expected=expected,
            )
            break
    if len(np.unique(numbers[:, 1:3], axis=0)) < len(numbers):
        faults.add("two spots have one place on the grid", file=path, field="array_row, array_col")
    return numbers
