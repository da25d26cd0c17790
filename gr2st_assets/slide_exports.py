"""What the files of a predicted slide hold beside its expression, and writing them.

Belongs here: intervals, nearness to training and thumbnail of a slide, in the forms that ``gr2st_core.exports`` takes.
Does not belong here: predicting (``slide_files``), the formats.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.drift_sections import ENCODER
from gr2st_assets.publish import crash_point
from gr2st_assets.slide_models import SlideModel
from gr2st_assets.work import Progress
from gr2st_core.types import ImageSection

if TYPE_CHECKING:
    from gr2st_core.drift.reference import Reference
    from gr2st_core.exports.predicted_slide import IntervalEnds, PredictedSlide, Thumbnail
    from gr2st_core.images.pixels import SlideImage
    from gr2st_core.types import Prediction

THUMBNAIL_PX = 2000


def intervals(model: SlideModel, prediction: "Prediction") -> "IntervalEnds | None":
    """Ends of every predicted value's interval; None if the model was never calibrated."""
    from gr2st_core.exports.predicted_slide import IntervalEnds

    rule = model.rule
    if rule.level is None:
        return None
    return IntervalEnds(*rule.errors.ends(prediction.values), rule.level, rule.support)


def compared(reference: "Reference | None", section: ImageSection) -> dict[str, Any]:
    """How unlike training each spot is, and the training spots that look most alike."""
    import numpy as np

    if reference is None:
        return {}
    scores = reference.score(str(section.key), section.features[ENCODER])
    pairs = np.char.add(np.char.add(scores.nearest_sections, "/"), scores.nearest_spots)
    return {
        "ood_distance": scores.score,
        "ood_quantile": scores.quantile,
        "is_unusual": scores.is_above,
        "reference_spots": pairs,
    }


def thumbnail(slide: "SlideImage") -> "Thumbnail":
    """Small copy of the slide, for the files that show it."""
    from gr2st_core.exports.predicted_slide import Thumbnail

    pixels = slide.thumbnail(THUMBNAIL_PX)
    return Thumbnail(pixels, pixels.shape[1] / slide.size_px[0])


def write_all(predicted: "PredictedSlide", folder: Path, progress: Progress) -> None:
    """Write the slide in every form, each file in full or not at all."""
    from gr2st_core.exports.geojson import write_geojson
    from gr2st_core.exports.h5ad import write_h5ad
    from gr2st_core.exports.parquet import write_parquet
    from gr2st_core.exports.spatialdata_store import write_spatialdata

    name = predicted.section.key.section_id
    writers: list[tuple[Callable[[PredictedSlide, Path], None], Path]] = [
        (write_parquet, folder),
        (write_h5ad, folder / f"{name}.h5ad"),
        (write_spatialdata, folder / f"{name}.zarr"),
        (write_geojson, folder / f"{name}.geojson"),
    ]
    for number, (write, path) in enumerate(writers, start=1):
        write(predicted, path)
        crash_point("slide.writing")
        progress("files", number, len(writers))
