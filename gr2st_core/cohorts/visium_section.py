"""One Visium section from its files, whatever folder layout they lay in.

Belongs here: joining positions, counts and labels by barcode, and the scale of the image at hand. Does not belong here:
finding the files (``spaceranger_listing``, ``wu2021``), parsing them.

Join rules: a section's spots are those under tissue that have counts, in the order of the positions. Spots under tissue
without counts are dropped and counted, count rows off the tissue are dropped, one without a position is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import COUNTS, RawSection, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, read_regions
from gr2st_core.cohorts.spaceranger_matrix import read_matrix
from gr2st_core.cohorts.spot_table import measure_pitch
from gr2st_core.cohorts.visium_positions import in_pitches, read_positions
from gr2st_core.cohorts.visium_scale import check_pitch, read_scale
from gr2st_core.errors import AlignmentError, MissingArtifactError
from gr2st_core.settings import Limits
from gr2st_core.types import StrArray

POSITIONS, SCALE = "positions", "scale"


def read_visium(
    entry: SectionEntry, faults: Faults, limits: Limits, labels: Mapping[str, str] | None = None
) -> RawSection:
    """Parse one section.

    Parameters
    ----------
    faults
        What is wrong already; all faults are raised together.
    labels
        Label of a person by barcode; None to take them from the label file of the entry, if it has one.

    Raises
    ------
    DataError
        A ``CohortError`` that lists all faults where there are several.
    """
    if missing := [role for role in (COUNTS, POSITIONS, SCALE) if role not in entry.files]:
        raise MissingArtifactError("a section lacks files", section=str(entry.key), field=missing)
    path = entry.files[POSITIONS]
    scale = read_scale(entry.files[SCALE], faults)
    barcodes, counts = read_matrix(entry.files[COUNTS], faults, limits)
    spots = read_positions(path, barcodes, faults, limits)
    array_xy = in_pitches(spots.grid, is_square=scale.is_binned)
    factor = scale.of_image(entry.image_path, faults)
    pitch = measure_pitch(array_xy[spots.in_tissue], spots.fullres_xy[spots.in_tissue])
    if not len(faults):
        check_pitch(scale, pitch, path, faults)
    row_of = {barcode: row for row, barcode in enumerate(barcodes)}
    rows = np.array([row_of.get(barcode, -1) for barcode in spots.spot_ids.tolist()], dtype=np.intp)
    kept = spots.in_tissue & (rows >= 0)
    if not len(faults):
        _check_join(set(barcodes) - set(spots.spot_ids.tolist()), int(kept.sum()), entry, faults)
    pixel_xy = spots.fullres_xy * factor
    regions: StrArray | None = None
    if labels is not None:
        regions = np.array([labels.get(name, "") for name in spots.spot_ids.tolist()], dtype=np.str_)
    elif REGIONS in entry.annotations and not len(faults):
        regions = read_regions(entry.annotations[REGIONS], spots.spot_ids, spots.grid, pixel_xy, faults)
    faults.raise_any("a section cannot be read")
    off_tissue = len(barcodes) - int(kept.sum())
    return RawSection(
        key=entry.key,
        patient_id=entry.patient_id,
        spot_ids=spots.spot_ids[kept],
        array_xy=array_xy[kept],
        pixel_xy=pixel_xy[kept],
        counts=None if counts is None else counts.rows(rows[kept]),
        pitch_um=scale.pitch_um,
        pitch_px=pitch * factor,
        um_per_px=scale.pitch_um / (pitch * factor),
        image_path=entry.image_path,
        n_spots_without_counts=int((spots.in_tissue & (rows < 0)).sum()),
        regions=None if regions is None else regions[kept],
        notes=(f"{off_tissue} count rows of spots that are not under tissue were left out",) if off_tissue else (),
    )


def _check_join(strangers: set[str], n_kept: int, entry: SectionEntry, faults: Faults) -> None:
    if strangers:
        faults.add(
            "count rows have no spot",
            AlignmentError,
            file=entry.files[COUNTS],
            field="barcode",
            found=sorted(strangers)[:10],
            expected=f"barcodes of {entry.files[POSITIONS]}",
            hint=f"{len(strangers)} rows; counts and positions may belong to two samples",
        )
    elif not n_kept:
        faults.add(
            "no spot under tissue has counts",
            AlignmentError,
            file=entry.files[COUNTS],
            field="barcode",
            expected=f"barcodes that are in tissue in {entry.files[POSITIONS]}",
        )
