"""Spot files of the Spatial Transcriptomics detector and of published cohorts, and the keys of spots.

Belongs here: which columns such files have, spots that were not selected, rounding keys to grid positions. Does not
belong here: the strict file of the her2st layout (``spot_table``), counts.

::

    x y [new_x new_y] pixel_x pixel_y [selected]     tabs or commas, any order, further columns unused
    <no name> X Y                                    commas; the first column is AxB
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.count_table import SPOT_KEY
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.spot_table import SpotTable
from gr2st_core.cohorts.text_table import read_table

_XY = ("x", "y", "pixel_x", "pixel_y")
_KEYED = ("", "X", "Y")
_SELECTED = "selected"


def is_spot_header(line: str) -> bool:
    """Tell whether a line is the header of a spot file."""
    header = _split(line)
    return (set(_XY) <= set(header) and "label" not in header) or tuple(header) == _KEYED


def _split(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else [field.strip('"') for field in line.split(",")]


def grid_key(key: str) -> str | None:
    """Round a spot's key to its grid position: ``12x9`` for ``12.03x8.97``; None for what is no key."""
    match = SPOT_KEY.fullmatch(key)
    return f"{round(float(match[1]))}x{round(float(match[2]))}" if match else None


def grid_keys(keys: Sequence[str], path: Path, faults: Faults) -> list[str]:
    """Round keys to grid positions, in order; keys that are none, and two on one position, are faults."""
    rounded = [grid_key(key) for key in keys]
    if unknown := [key for key, grid in zip(keys, rounded, strict=True) if grid is None]:
        faults.add(
            "a spot is not named by its position",
            file=path,
            field="spot id",
            found=unknown[:10],
            expected="column and row as AxB",
            hint=f"{len(unknown)} of {len(keys)} names",
        )
    by_grid = defaultdict(list)
    for key, grid in zip(keys, rounded, strict=True):
        by_grid[grid].append(key)
    if collisions := [found for grid, found in by_grid.items() if grid is not None and len(found) > 1]:
        faults.add(
            "two spots round to one grid position",
            file=path,
            field="spot id",
            found=collisions[:10],
            expected="one spot a position",
            hint="remove the row that is no spot of this section",
        )
    return [grid or key for key, grid in zip(keys, rounded, strict=True)]


def read_legacy_spots(path: Path, first_line: str, faults: Faults) -> SpotTable:
    """Parse a spot file; spots that are not selected are left out, rows with a fault too.

    Parameters
    ----------
    first_line
        Header of the file, which says what separates fields.
    """
    header, rows = read_table(path, faults, delimiter="\t" if "\t" in first_line else ",", quote='"')
    values, keys = [], []
    columns = _columns(header, path, faults)
    for label, fields in rows if columns else ():
        row = dict(zip(header, fields, strict=True))
        if (selected := row.get(_SELECTED, "1")) == "0":
            continue
        key = row[""] if columns == _KEYED else f"{row['x']}x{row['y']}"
        pixel = _numbers([row[name] for name in columns[-2:]])
        if selected != "1" or pixel is None or grid_key(key) is None:
            faults.add(
                "a spot has no usable position",
                file=path,
                field=label,
                found=fields,
                expected="grid positions and pixels as finite numbers, selected 0 or 1",
            )
            continue
        keys.append(key)
        values.append(pixel)
    if header and not values and not len(faults):
        faults.add("a spot file has no selected spot", file=path, expected="one row a spot under tissue")
    spot_ids = grid_keys(keys, path, faults)
    grid = np.array([key.split("x") for key in spot_ids], dtype=np.float64).reshape(-1, 2)
    return SpotTable(np.array(spot_ids, dtype=np.str_), grid, np.array(values, dtype=np.float64).reshape(-1, 2))


def _columns(header: list[str], path: Path, faults: Faults) -> tuple[str, ...]:
    """Columns of the header that hold positions, the pixels last; none where the file has no such columns."""
    if tuple(header) == _KEYED:
        return _KEYED
    if set(_XY) <= set(header) and len(set(header)) == len(header):
        return _XY
    if header:
        faults.add(
            "the columns of a table are not the expected ones",
            file=path,
            field="header",
            found=header[:20],
            expected=list(_XY),
        )
    return ()


def _numbers(fields: Iterable[str]) -> list[float] | None:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None
