"""Reader of the her2st folder layout ("1k array" Spatial Transcriptomics).

Belongs here: joining a section's spot file and count table by spot id, and its scale. Does not belong here: finding the
files (``her2st_listing``), opening images.

::

    data/ST-cnts/<section>.tsv.gz             counts, row AxB, column gene symbol
    data/ST-spotfiles/<section>_selection.tsv  x y new_x new_y pixel_x pixel_y selected
    data/ST-imgs/<any>/<section>/<one image>
    data/ST-pat/lbl/<section>_labeled_coordinates.tsv                (optional)
    res/ST-deconv/props/major.zip | major/<section>-proportion.tsv    (optional)
    patients.tsv                              section_id patient_id   (optional)

Join rules: the key of a spot is ``AxB`` with the integers x, y of the spot file; spots without counts are dropped and
counted; a count row without a spot is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.her2st_listing import COUNTS_FOLDER, SPOTS_FOLDER, list_sections
from gr2st_core.cohorts.records import COUNTS, RawSection, SectionEntry
from gr2st_core.cohorts.spot_table import SpotTable, measure_pitch, read_spot_table
from gr2st_core.errors import AlignmentError, DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import Counts

SPOTS = "spots"
PITCH_UM = 200.0
"""Centre to centre distance of neighbouring spots of the array (data.md 2)."""


class Her2stReader:
    """Reads folders laid out as the her2st repository."""

    layout: ClassVar[str] = "her2st"
    expects: ClassVar[str] = f"{COUNTS_FOLDER}/<section>.tsv.gz, {SPOTS_FOLDER}/<section>_selection.tsv"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` has a folder of counts or of spot files where this layout has them."""
        return (folder / COUNTS_FOLDER).is_dir() or (folder / SPOTS_FOLDER).is_dir()

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections of cohort ``name``, sorted by key, and every fault that a listing can see.

        Raises
        ------
        SchemaError
            If ``name`` cannot name a cohort.
        """
        return list_sections(name, folder)

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse spots and counts of one section and join them by spot id.

        Raises
        ------
        DataError
            A ``CohortError`` that lists all faults where there are several.
        """
        if SPOTS not in entry.files:
            raise MissingArtifactError("a section has no spot file", section=str(entry.key), expected=self.expects)
        faults = Faults(section=str(entry.key))
        spots = read_spot_table(entry.files[SPOTS], faults)
        pitch_px = measure_pitch(spots.array_xy, spots.pixel_xy)
        if not len(faults) and not pitch_px > 0:
            faults.add(
                "the scale of the image cannot be measured",
                file=entry.files[SPOTS],
                field="pixel_x, pixel_y",
                found=f"pitch {pitch_px} px",
                expected="two spots that are neighbours on the grid and lie at different pixels",
            )
        kept, counts = _with_counts(spots, entry, faults, limits)
        faults.raise_any("a section cannot be read")
        return RawSection(
            key=entry.key,
            patient_id=entry.patient_id,
            spot_ids=kept.spot_ids,
            array_xy=kept.array_xy,
            pixel_xy=kept.pixel_xy,
            counts=counts,
            pitch_um=PITCH_UM,
            pitch_px=pitch_px,
            um_per_px=PITCH_UM / pitch_px,
            image_path=entry.image_path,
            n_spots_without_counts=len(spots.spot_ids) - len(kept.spot_ids),
        )


def _with_counts(
    spots: SpotTable, entry: SectionEntry, faults: Faults, limits: Limits
) -> tuple[SpotTable, Counts | None]:
    """Spots that have counts, in the order of the spot file, and their counts."""
    if COUNTS not in entry.files:
        return spots, None
    path = entry.files[COUNTS]
    spots_are_sound = not len(faults)
    counted_ids, counts = read_count_table(path, faults, max_bytes=limits.max_bytes)
    if spots_are_sound and (strangers := sorted(set(counted_ids) - set(spots.spot_ids.tolist()))):
        faults.add(
            "count rows have no spot",
            AlignmentError,
            file=path,
            field="spot id",
            found=strangers[:10],
            expected=f"ids of {entry.files[SPOTS]}",
            hint=f"{len(strangers)} rows; add the spots to the spot file or remove the rows",
        )
    row_of = {spot_id: row for row, spot_id in enumerate(counted_ids)}
    kept = np.array([spot_id in row_of for spot_id in spots.spot_ids.tolist()], dtype=np.bool_)
    rows = np.array([row_of[spot_id] for spot_id in spots.spot_ids[kept].tolist()], dtype=np.intp)
    return spots.rows(kept), counts.rows(rows)
