"""A predicted slide as ``.h5ad``, for scanpy and squidpy.

Belongs here: writing the file. Does not belong here: what lies where in it (``annotated``).
"""

from __future__ import annotations

from pathlib import Path

from gr2st_core.exports.annotated import annotated, spatial_entry
from gr2st_core.exports.predicted_slide import PredictedSlide
from gr2st_core.exports.whole import written_whole


def write_h5ad(slide: PredictedSlide, path: Path) -> None:
    """Write one section; its id is the library id and, as ``obs["section_id"]``, the library key.

    The file appears in full or not at all; equal slides give equal bytes.

    Raises
    ------
    OSError
    """
    data = annotated(slide)
    data.uns["spatial"] = {slide.section.key.section_id: spatial_entry(slide)}
    with written_whole(path) as staged:
        data.write_h5ad(staged, compression="gzip")
