"""Reader of legacy Spatial Transcriptomics as it was published outside her2st.

Belongs here: joining a section's spot file and count table by grid position. Does not belong here: finding the files
(``legacy_listing``), opening images.

::

    [GSM<n>_]<section>_stdata.tsv[.gz]                     counts, spots AxB by genes, or genes by spots
    [GSM<n>_]spot_data-selection-<section>.tsv[.gz]        GSE144240
    <section>.spots.txt | spots_<section>.csv[.gz]         He et al. 2020
    [GSM<n>_][HE_]<section>.jpg | .png | .tif              unpacked
    <section>_Coords.tsv | regions/<section>.tsv, .geojson labels                  (optional)
    <any>.tsv                                              gene_id gene_name       (optional)
    patients.tsv, cohort.yml                                                       (optional)

Names say which section a file belongs to; what it holds says what it is. Join rules: keys round to grid positions;
spots that are not selected, and count rows of spots that the spot file does not list, lie off the tissue and are left
out; spots without counts are left out and counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from gr2st_core.cohorts.array_section import section_of_array
from gr2st_core.cohorts.count_table import read_count_table
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.gene_names import GENES, with_symbols
from gr2st_core.cohorts.legacy_files import SPOTS, kind_of, walk
from gr2st_core.cohorts.legacy_listing import LegacyListing
from gr2st_core.cohorts.legacy_spots import grid_keys, read_legacy_spots
from gr2st_core.cohorts.records import COUNTS, RawSection, SectionEntry
from gr2st_core.cohorts.regions import regions_of
from gr2st_core.cohorts.scale import measure_scale
from gr2st_core.cohorts.spot_table import SpotTable, join_counts
from gr2st_core.cohorts.table_stream import first_lines
from gr2st_core.errors import AlignmentError, DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import BoolArray, Counts

_LEAST_COUNTED = 0.5  # share of spots with counts below which the two files hardly describe one section


class LegacyReader:
    """Reads folders of count tables and spot files by section."""

    layout: ClassVar[str] = "legacy-st"
    expects: ClassVar[str] = "<section>_stdata.tsv[.gz], spot_data-selection-<section>.tsv[.gz]"

    def recognises(self, folder: Path) -> bool:
        """Tell whether a file of ``folder`` holds spots with grid positions and pixels, or counts by such spots."""
        return any(kind_of(path) in {COUNTS, SPOTS} for path in walk(folder))

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return LegacyListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse spots and counts of one section and join them by grid position."""
        if SPOTS not in entry.files:
            raise MissingArtifactError("a section has no spot file", section=str(entry.key), expected=self.expects)
        path = entry.files[SPOTS]
        faults = Faults(section=str(entry.key))
        spots = read_legacy_spots(path, first_lines(path)[0], faults)
        scale = measure_scale(spots, entry, path, faults)
        regions = regions_of(entry, spots, faults)
        kept, counts, notes = _with_counts(spots, entry, faults, limits)
        faults.raise_any("a section cannot be read")
        return section_of_array(entry, spots, scale, regions, kept, counts, notes)


def _with_counts(
    spots: SpotTable, entry: SectionEntry, faults: Faults, limits: Limits
) -> tuple[BoolArray, Counts | None, tuple[str, ...]]:
    """Which spots have counts, these in the order of the spot file, and what is to be said about them."""
    if COUNTS not in entry.files:
        return np.ones(len(spots.spot_ids), dtype=np.bool_), None, ()
    path = entry.files[COUNTS]
    names, table = read_count_table(path, faults, limits)
    counted_ids = grid_keys(names, path, faults)
    kept, counts = join_counts(spots.spot_ids, counted_ids, table)
    if not len(faults) and kept.sum() < _LEAST_COUNTED * len(kept):
        faults.add(
            "most spots have no counts",
            AlignmentError,
            file=path,
            field="spot id",
            found=f"counts of {kept.sum()} of {len(kept)} spots, {counted_ids[:5]}",
            expected=f"spots of {entry.files[SPOTS].name}: {spots.spot_ids[:5].tolist()}",
            hint="do both files describe this section, column before row?",
        )
    counts, said = with_symbols(counts, entry.files.get(GENES), faults)
    notes = [said] if said else []
    if off_tissue := len(counted_ids) - int(kept.sum()):
        notes.append(f"{off_tissue} count rows of spots that are not selected or not listed were left out")
    return kept, counts, tuple(notes)
