"""Where the spots of a slide without counts are: as given, or on a grid over its tissue.

Belongs here: files of given coordinates, the grid. Does not belong here: the scale, opening images (``slides_only``).
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.slides_listing import CSV
from gr2st_core.cohorts.spot_scale import nearest_pitch
from gr2st_core.cohorts.spot_table import SpotTable, measure_pitch
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.errors import ImageError
from gr2st_core.images.pixels import SlideImage
from gr2st_core.images.slides import tissue_mask
from gr2st_core.types import FloatArray

COLUMNS = ("spot_id", "pixel_x", "pixel_y")
THUMBNAIL_PX = 2048
"""Longer side of the thumbnail that tissue is looked for on."""

_GRID_ID = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
_SPOT_ID = re.compile(r"[!-~]{1,128}")


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
        _refuse_number(len(ids), max_spots, path, faults)
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


def lay_grid(slide: SlideImage, pitch_px: float, faults: Faults, *, max_spots: int) -> SpotTable:
    """Square grid over the tissue of a slide: the spots whose centre lies on tissue, column by column.

    The first centre is half a pitch from the upper left corner; the spot in column A and row B is ``AxB``.
    """
    columns, rows = (int(size / pitch_px) for size in slide.size_px)
    if columns * rows > max_spots:
        _refuse_number(columns * rows, max_spots, slide.path, faults)
        columns = 0
    array_xy = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), axis=-1).reshape(-1, 2)
    pixel_xy = (array_xy + 0.5) * pitch_px
    if len(array_xy):
        thumbnail = slide.thumbnail(THUMBNAIL_PX)
        tissue = tissue_mask(thumbnail)
        x, y = (pixel_xy * (np.array(tissue.shape[::-1]) / slide.size_px)).astype(np.int64).T
        on_tissue = tissue[y, x]
        array_xy, pixel_xy = array_xy[on_tissue], pixel_xy[on_tissue]
        if not len(array_xy):
            faults.add(
                "no spot of the grid lies on tissue",
                ImageError,
                file=slide.path,
                found=f"{tissue.mean():.2%} of the slide is tissue; {columns}x{rows} positions",
                hint=f"give coordinates in <section>{CSV} ({', '.join(COLUMNS)}), or a smaller pitch_um",
            )
    ids = [f"{column}x{row}" for column, row in array_xy.tolist()]
    return SpotTable(np.array(ids, dtype=np.str_), array_xy.astype(np.float64), pixel_xy)


def _refuse_number(found: int, most: int, file: Path, faults: Faults) -> None:
    faults.add(
        "a slide has too many spots",
        file=file,
        field="pitch_um",
        found=found,
        expected=f"at most {most}",
        hint="a larger pitch_um, or raise limits.max_spots",
    )
