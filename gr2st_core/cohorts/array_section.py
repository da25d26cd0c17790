"""A section of a printed array, put together from its spot file and what was joined to it.

Belongs here: what the readers of such arrays share once spots, scale, labels and counts are read. Does not belong here:
reading any of them.
"""

from __future__ import annotations

from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.scale import Scale
from gr2st_core.cohorts.spot_table import SpotTable
from gr2st_core.types import BoolArray, Counts, StrArray


def section_of_array(
    entry: SectionEntry,
    spots: SpotTable,
    scale: Scale,
    regions: StrArray | None,
    kept: BoolArray,
    counts: Counts | None,
    notes: tuple[str, ...] = (),
) -> RawSection:
    """Put a section together from those of its spots that are kept.

    Parameters
    ----------
    regions, kept
        Label of every spot of ``spots`` and whether it stays, shape ``(n_spots,)``.
    counts
        Rows follow the spots that are kept.
    """
    return RawSection(
        key=entry.key,
        patient_id=entry.patient_id,
        spot_ids=spots.spot_ids[kept],
        array_xy=spots.array_xy[kept],
        pixel_xy=spots.pixel_xy[kept],
        counts=counts,
        pitch_um=scale.pitch_um,
        pitch_px=scale.pitch_px,
        um_per_px=scale.um_per_px,
        image_path=entry.image_path,
        n_spots_without_counts=int((~kept).sum()),
        regions=None if regions is None else regions[kept],
        notes=notes,
    )
