"""Reader of the folders that Space Ranger 1 to 4 writes, Visium and Visium HD.

Belongs here: the layout. Does not belong here: finding the files (``spaceranger_listing``), reading them
(``visium_section``).

::

    <sample>/[outs/]filtered_feature_bc_matrix.h5 | filtered_feature_bc_matrix/   (a prefix is allowed)
    <sample>/[outs/]spatial/tissue_positions_list.csv | tissue_positions.csv | tissue_positions.parquet
    <sample>/[outs/]spatial/scalefactors_json.json, tissue_hires_image.png | tissue_lowres_image.png
    <sample>/[outs/]binned_outputs/square_016um/...                   Visium HD: the same files for bins of one size
    <sample>/[outs/]<one image>                   at full resolution, read instead of the small one (optional)
    patients.tsv                                  section_id patient_id
    cohort.yml                                    bin_um: 8       (optional)
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.spaceranger_listing import (
    BINS_FOLDER,
    MATRIX,
    SpaceRangerListing,
    is_sample,
    may_be_sample,
    subfolders,
)
from gr2st_core.cohorts.visium_section import read_visium
from gr2st_core.errors import DataError
from gr2st_core.settings import DEFAULT_LIMITS, Limits


class SpaceRangerReader:
    """Reads folders of Space Ranger outputs, one sample a folder."""

    layout: ClassVar[str] = "spaceranger"
    expects: ClassVar[str] = f"<sample>/[outs/]{MATRIX}.h5 or {BINS_FOLDER}/, and spatial/"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` is a sample or holds one."""
        try:
            return is_sample(folder) or any(may_be_sample(path, closed=False) for path in subfolders(folder))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return SpaceRangerListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one section."""
        return read_visium(entry, Faults(section=str(entry.key)), limits)
