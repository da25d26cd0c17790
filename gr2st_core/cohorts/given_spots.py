"""Spots given by hand: a table of ids and pixels.

Belongs here: its columns, parsing it, the pitch of its spots. Does not belong here: spot files with grid positions
(``spot_table``, ``legacy_spots``), which slides have one (``slides_listing``).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.spot_scale import nearest_pitch
from gr2st_core.cohorts.spot_table import SpotTable, measure_pitch
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.types import FloatArray

COLUMNS = ("spot_id", "pixel_x", "pixel_y")
CSV = ".spots.csv"
"""Ending of the files that are separated by commas; others are by tabs."""

_GRID_ID = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
_SPOT_ID = re.compile(r"[!-~]{1,128}")


def is_given_header(line: str) -> bool:
    """Tell whether a line is the header of such a table."""
    return sorted(line.split("\t" if "\t" in line else ",")) == sorted(COLUMNS)


def read_given_spots(path: Path, faults: Faults, *, max_spots: int) -> SpotTable:
    """Parse a file of given coordinates; rows with a fault are left out and their faults added to ``faults``.

    ``array_xy`` is that of the ids where all are ``AxB``, else the number of pitches from the smallest x and y.
    """
    ids, places = [], []
    for label, (spot_id, *texts) in read_rows(
        path, COLUMNS, faults, delimiter="," if path.name.endswith(CSV) else "\t"
    ):
        try:
            place = [float(text) for text in texts]
        except ValueError as error:
            faults.add("a coordinate is not a number", file=path, field=label, found=str(error), expected="numbers")
            continue
        if not (_SPOT_ID.fullmatch(spot_id) and np.isfinite(place).all()):
            faults.add(
                "a spot is unusable", file=path, field=label, found=[spot_id, *texts],
                expected=f"an id that matches {_SPOT_ID.pattern}, finite coordinates",
            )  # fmt: skip
            continue
        ids.append(spot_id)
        places.append(place)
    if doubled := sorted(spot for spot, n in Counter(ids).items() if n > 1):
        faults.add("a spot is listed twice", file=path, field="spot_id", found=doubled[:10], expected="unique spots")
    if len(ids) > max_spots:
        refuse_number(len(ids), max_spots, path, faults)
    pixel_xy = np.array(places, dtype=np.float64).reshape(-1, 2)
    return SpotTable(np.array(ids, dtype=np.str_), _array_xy(ids, pixel_xy), pixel_xy)


def _array_xy(ids: list[str], pixel_xy: FloatArray) -> FloatArray:
    matches = [_GRID_ID.fullmatch(spot_id) for spot_id in ids]
    grid = [(float(match[1]), float(match[2])) for match in matches if match]
    if len(grid) == len(ids):
        return np.array(grid, dtype=np.float64).reshape(-1, 2)
    pitch = nearest_pitch(pixel_xy)
    return np.rint((pixel_xy - pixel_xy.min(axis=0)) / pitch) if pitch > 0 else np.zeros_like(pixel_xy)


def given_pitch_px(spots: SpotTable) -> float:
    """Distance between neighbours in pixels: on the grid of their ids, else to the nearest spot; NaN for one spot."""
    pitch = measure_pitch(spots.array_xy, spots.pixel_xy)
    return pitch if pitch > 0 else nearest_pitch(spots.pixel_xy)


def refuse_number(found: int, most: int, file: Path, faults: Faults) -> None:
    """Add the fault of more spots than ``limits.max_spots``."""
    faults.add(
        "a slide has too many spots",
        file=file,
        field="pitch_um",
        found=found,
        expected=f"at most {most}",
        hint="a larger pitch_um, or raise limits.max_spots",
    )
