"""A grid of spots over the tissue of a slide.

Belongs here: where they are laid. Does not belong here: the scale, opening images (``slides_only``), given coordinates
(``given_spots``).
"""

from __future__ import annotations

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.given_spots import COLUMNS, CSV, refuse_number
from gr2st_core.cohorts.spot_table import SpotTable
from gr2st_core.errors import ImageError
from gr2st_core.images.pixels import SlideImage
from gr2st_core.images.slides import tissue_mask

THUMBNAIL_PX = 2048
"""Longer side of the thumbnail that tissue is looked for on."""


def lay_grid(slide: SlideImage, pitch_px: float, faults: Faults, *, max_spots: int) -> SpotTable:
    """Square grid over the tissue of a slide: the spots whose centre lies on tissue, column by column.

    The first centre is half a pitch from the upper left corner; the spot in column A and row B is ``AxB``.
    """
    columns, rows = (int(size / pitch_px) for size in slide.size_px)
    if columns * rows > max_spots:
        refuse_number(columns * rows, max_spots, slide.path, faults)
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
