"""A predicted slide as an AnnData object, as scanpy and squidpy expect a section.

Belongs here: which part of the slide lies where in the object. Does not belong here: files (``h5ad``,
``spatialdata_store``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from gr2st_core.exports.predicted_slide import PredictedSlide, Thumbnail
from gr2st_core.images.thumbnails import thumbnail_size

if TYPE_CHECKING:
    import anndata as ad

_LOWRES_PX = 600  # longer side of Space Ranger's tissue_lowres_image


def annotated(slide: PredictedSlide) -> ad.AnnData:
    """Build the object: ``X`` and ``layers["predicted"]`` are the same predicted values, in target units.

    ``layers["lower"]`` and ``["upper"]`` are the interval ends (NaN where a gene has none), ``obsm["spatial"]`` the
    spot centres in pixels of the full resolution, ``uns["gr2st"]`` JSON of what is known of the whole slide. What is
    not known has no column.
    """
    import anndata as ad

    values = slide.prediction.values
    data = ad.AnnData(values, obs=_obs(slide), var=_var(slide))
    data.layers["predicted"] = values
    if slide.intervals is not None:
        data.layers["lower"], data.layers["upper"] = slide.intervals.lower, slide.intervals.upper
    data.obsm["spatial"] = np.asarray(slide.section.pixel_xy, dtype=np.float64)
    if slide.reference_spots is not None:
        data.obsm["reference_spots"] = slide.reference_spots
    data.uns["gr2st"] = slide.document
    return data


def spatial_entry(slide: PredictedSlide) -> dict[str, Any]:
    """Build ``uns["spatial"][library_id]``: images, what takes full-resolution pixels to theirs, metadata.

    Without a thumbnail there are no images and the scale is 1, so that the spots can be drawn alone.
    """
    images: dict[str, Any] = {}
    scales = {"tissue_hires_scalef": 1.0}
    if slide.thumbnail is not None:
        low = _lowres(slide.thumbnail)
        images = {"hires": slide.thumbnail.pixels, "lowres": low.pixels}
        scales = {"tissue_hires_scalef": slide.thumbnail.scale, "tissue_lowres_scalef": low.scale}
    return {
        "images": images,
        "scalefactors": {**scales, "spot_diameter_fullres": slide.spot_diameter_px},
        "metadata": {"um_per_px": slide.section.um_per_px, "pitch_px": slide.section.pitch_px},
    }


def _lowres(thumbnail: Thumbnail) -> Thumbnail:
    height, width = thumbnail.pixels.shape[:2]
    size = thumbnail_size((width, height), _LOWRES_PX)
    small = Image.fromarray(thumbnail.pixels).resize(size, Image.Resampling.BICUBIC)
    return Thumbnail(np.asarray(small), thumbnail.scale * max(size) / max(width, height))


def _obs(slide: PredictedSlide) -> pd.DataFrame:
    section = slide.section
    columns: dict[str, Any] = {
        "section_id": pd.Categorical([section.key.section_id] * section.n_spots),
        "patient_id": pd.Categorical([section.patient_id] * section.n_spots),
        "in_tissue": np.ones(section.n_spots, dtype=np.int64),
        "array_row": section.array_xy[:, 1],
        "array_col": section.array_xy[:, 0],
        "ood_distance": slide.ood_distance,
        "ood_quantile": slide.ood_quantile,
        "is_unusual": slide.is_unusual,
    }
    if slide.regions is not None:
        columns["region"] = pd.Categorical([label or None for label in slide.regions.tolist()])
    known = {name: column for name, column in columns.items() if column is not None}
    return pd.DataFrame(known, index=pd.Index(section.spot_ids.tolist(), dtype=object))


def _var(slide: PredictedSlide) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "in_panel": np.ones(len(slide.genes), dtype=np.bool_),
        "support": pd.Categorical(slide.support),
    }
    if slide.intervals is not None:
        width = (slide.intervals.upper - slide.intervals.lower).mean(axis=0, dtype=np.float64)
        columns |= {"has_interval": np.isfinite(width), "mean_interval_width": width}
    return pd.DataFrame(columns, index=pd.Index(list(slide.genes), dtype=object))
