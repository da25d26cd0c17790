"""Spot files of the her2st layout, and the scale that a spot grid gives its image.

Belongs here: parsing the spot file, the pitch. Does not belong here: counts, or whether spots lie on the image.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.types import BoolArray, FloatArray, StrArray

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

    def rows(self, index: BoolArray) -> SpotTable:
        """Keep the chosen spots, in file order."""
        return SpotTable(self.spot_ids[index], self.array_xy[index], self.pixel_xy[index])


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


def measure_pitch(array_xy: FloatArray, pixel_xy: FloatArray) -> float:
    """Measure the median distance in pixels between spots that are neighbours on the grid; NaN without neighbours."""
    pairs = cKDTree(array_xy).query_pairs(1.001, output_type="ndarray")
    if len(pairs) == 0:
        return float("nan")
    return float(np.median(np.linalg.norm(pixel_xy[pairs[:, 0]] - pixel_xy[pairs[:, 1]], axis=1)))
