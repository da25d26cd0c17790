"""Reader of the her2st folder layout ("1k array" Spatial Transcriptomics).

Belongs here: joining a section's spot file and count table by spot id, and its scale. Does not belong here: finding the
files (``her2st_listing``), opening images.

::

    data/ST-cnts/<section>.tsv.gz             counts, row AxB, column gene symbol
    data/ST-spotfiles/<section>_selection.tsv  x y new_x new_y pixel_x pixel_y selected
    data/ST-imgs/<any>/<section>/<one image>
    data/ST-pat/lbl/<section>_labeled_coordinates.tsv                (optional)
    res/ST-deconv/props/major.zip | major/<section>-proportion.tsv    (optional)
    regions/<section>.tsv | .geojson          (optional, instead of the labels above)
    patients.tsv                              section_id patient_id   (optional)
    cohort.yml                                pitch_um                (optional)

Join rules: the key of a spot is ``AxB`` with the integers x, y of the spot file; spots without counts are dropped and
counted; a count row without a spot is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from gr2st_core.cohorts.array_section import section_of_array
from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.her2st_listing import COUNTS_FOLDER, SPOTS_FOLDER, Her2stListing
from gr2st_core.cohorts.records import COUNTS, RawSection, SectionEntry
from gr2st_core.cohorts.regions import regions_of
from gr2st_core.cohorts.scale import measure_scale
from gr2st_core.cohorts.spot_table import SpotTable, join_counts, read_spot_table
from gr2st_core.errors import AlignmentError, DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import BoolArray, Counts

SPOTS = "spots"


class Her2stReader:
    """Reads folders laid out as the her2st repository."""

    layout: ClassVar[str] = "her2st"
    expects: ClassVar[str] = f"{COUNTS_FOLDER}/<section>.tsv.gz, {SPOTS_FOLDER}/<section>_selection.tsv"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` has a folder of counts or of spot files where this layout has them."""
        return (folder / COUNTS_FOLDER).is_dir() or (folder / SPOTS_FOLDER).is_dir()

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return Her2stListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse spots and counts of one section and join them by spot id."""
        if SPOTS not in entry.files:
            raise MissingArtifactError("a section has no spot file", section=str(entry.key), expected=self.expects)
        faults = Faults(section=str(entry.key))
        spots = read_spot_table(entry.files[SPOTS], faults)
        scale = measure_scale(spots, entry, entry.files[SPOTS], faults)
        regions = regions_of(entry, spots, faults)
        kept, counts = _with_counts(spots, entry, faults, limits)
        faults.raise_any("a section cannot be read")
        return section_of_array(entry, spots, scale, regions, kept, counts)


def _with_counts(
    spots: SpotTable, entry: SectionEntry, faults: Faults, limits: Limits
) -> tuple[BoolArray, Counts | None]:
    """Which spots have counts, and these in the order of the spot file."""
    if COUNTS not in entry.files:
        return np.ones(len(spots.spot_ids), dtype=np.bool_), None
    path = entry.files[COUNTS]
    spots_are_sound = not len(faults)
    counted_ids, counts = read_count_table(path, faults, limits)
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
    return join_counts(spots.spot_ids, counted_ids, counts)
