"""Spots of a section, the spot file of the her2st layout, and the pitch of a spot grid in pixels.

Belongs here: the table, parsing that file, the pitch. Does not belong here: counts, other layouts' spot files
(``legacy_spots``), micrometres (``scale``), or whether spots lie on the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.types import BoolArray, Counts, FloatArray, StrArray

_STRAIGHT, _DIAGONAL = 1.001, 1.415  # grid steps between neighbours, rounded up

COLUMNS = ("x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected")


@dataclass(frozen=True, slots=True)
class SpotTable:
    """Spots of a section in file order.

    Attributes
    ----------
    spot_ids
        ``AxB`` with the grid's column A and row B.
    array_xy
        Grid column and row, shape ``(n_spots, 2)``.
    pixel_xy
        Spot centres in image pixels, x right, y down, shape ``(n_spots, 2)``.
    """

    spot_ids: StrArray
    array_xy: FloatArray
    pixel_xy: FloatArray


def read_spot_table(path: Path, faults: Faults) -> SpotTable:
    """Parse a spot file; rows with a fault are left out and their faults added to ``faults``."""
    rows = []
    for label, fields in read_rows(path, COLUMNS, faults):
        try:
            values = [float(text) for text in fields]
        except ValueError as error:
            faults.add("a coordinate is not a number", file=path, field=label, found=str(error), expected="numbers")
            continue
        if fault := _fault_of(dict(zip(COLUMNS, values, strict=True))):
            faults.add(fault[0], file=path, field=label, found=fields, expected=fault[1])
        else:
            rows.append(values)
    table = np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))
    spot_ids = [f"{x:.0f}x{y:.0f}" for x, y in table[:, :2]]
    if doubled := sorted(spot for spot, n in Counter(spot_ids).items() if n > 1):
        faults.add("a spot is listed twice", file=path, field="x, y", found=doubled[:10], expected="unique spots")
    return SpotTable(np.array(spot_ids, dtype=np.str_), table[:, :2], table[:, 4:6])


def _fault_of(row: dict[str, float]) -> tuple[str, str] | None:
    """Say what is wrong with a row and what was expected, or None."""
    if not np.isfinite(list(row.values())).all():
        return "a coordinate is not finite", "finite numbers"
    if any(row[name] < 0 or not row[name].is_integer() for name in ("x", "y")):
        return "a grid position is not a non-negative integer", "integer x and y"
    if row["selected"] != 1:
        return "a spot that is not selected is listed", "selected = 1: the file lists the spots under tissue"
    return None


def join_counts(spot_ids: StrArray, counted_ids: Sequence[str], counts: Counts) -> tuple[BoolArray, Counts]:
    """Join count rows to spots by id.

    Returns
    -------
    Which spots have counts, shape ``(n_spots,)``; their counts in the order of ``spot_ids``.
    """
    row_of = {spot_id: row for row, spot_id in enumerate(counted_ids)}
    has_counts = np.array([spot_id in row_of for spot_id in spot_ids.tolist()], dtype=np.bool_)
    rows = np.array([row_of[spot_id] for spot_id in spot_ids[has_counts].tolist()], dtype=np.intp)
    return has_counts, counts.rows(rows)


def measure_pitch(array_xy: FloatArray, pixel_xy: FloatArray) -> float:
    """Measure the median distance in pixels between spots that are neighbours on the grid; NaN without neighbours.

    Neighbours of a staggered grid are those across the diagonal.
    """
    pairs = _pairs(array_xy, _DIAGONAL if is_staggered(array_xy) else _STRAIGHT)
    if len(pairs) == 0:
        return float("nan")
    return float(np.median(np.linalg.norm(pixel_xy[pairs[:, 0]] - pixel_xy[pairs[:, 1]], axis=1)))


def is_staggered(array_xy: FloatArray) -> bool:
    """Tell whether every other position of the grid is left out, as on the array of 1,934 spots."""
    return len(set(array_xy.sum(axis=1) % 2)) == 1 and len(_pairs(array_xy, _DIAGONAL)) > 0


def _pairs(array_xy: FloatArray, reach: float) -> NDArray[np.intp]:
    pairs: NDArray[np.intp] = cKDTree(array_xy).query_pairs(reach, output_type="ndarray")
    return pairs
