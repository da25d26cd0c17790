"""A predicted slide as a SpatialData store, for napari-spatialdata, Vitessce and spatialdata-plot.

Belongs here: elements, what the table annotates, transformations. Does not belong here: what the table holds
(``annotated``).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gr2st_core.exports.annotated import annotated
from gr2st_core.exports.predicted_slide import PredictedSlide, Thumbnail
from gr2st_core.exports.whole import written_whole

IMAGE = "he"
SPOTS = "spots"
TABLE = "predicted"
GLOBAL = "global"
"""Coordinate system of all elements: pixels of the slide at full resolution."""

_ELEMENT_KEY = "element"  # not `region`, which is the label of a spot
_SPOT_KEY = "spot_id"


def write_spatialdata(slide: PredictedSlide, path: Path) -> None:
    """Write a ``.zarr`` store of the thumbnail, the spots as circles, and the table that annotates them.

    The store appears in full or not at all, and replaces an earlier one; equal slides give equal bytes.

    Raises
    ------
    SchemaError
        At ``path`` is a folder that is no zarr store.
    OSError
    """
    from spatialdata import SpatialData

    images = {} if slide.thumbnail is None else {IMAGE: _image(slide.thumbnail)}
    data = SpatialData(images=images, shapes={SPOTS: _circles(slide)}, tables={TABLE: _table(slide)})
    with written_whole(path) as staged, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="zarr v3 autosharding")  # of anndata, once an array
        data.write(staged)


def _image(thumbnail: Thumbnail) -> Any:
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale

    to_global = Scale([1 / thumbnail.scale] * 2, axes=("x", "y"))
    return Image2DModel.parse(
        np.moveaxis(thumbnail.pixels, 2, 0),
        dims=("c", "y", "x"),
        c_coords=("r", "g", "b"),
        transformations={GLOBAL: to_global},
    )


def _circles(slide: PredictedSlide) -> Any:
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity

    return ShapesModel.parse(
        np.asarray(slide.section.pixel_xy, dtype=np.float64),
        geometry=0,
        radius=slide.spot_diameter_px / 2,
        index=slide.section.spot_ids.tolist(),
        transformations={GLOBAL: Identity()},
    )


def _table(slide: PredictedSlide) -> Any:
    from spatialdata.models import TableModel

    data = annotated(slide)
    data.obs[_ELEMENT_KEY] = pd.Categorical([SPOTS] * slide.n_spots)
    data.obs[_SPOT_KEY] = slide.section.spot_ids.tolist()
    return TableModel.parse(data, region=SPOTS, region_key=_ELEMENT_KEY, instance_key=_SPOT_KEY)
