"""Reader of the breast cancer sections of Wu et al., Nature Genetics 2021 (Visium; Zenodo 4739739).

Belongs here: that archive's layout. Does not belong here: its tables of patients and labels (``wu2021_metadata``), the
files of a Visium section (``visium_section``).

::

    filtered_count_matrices/<section>_filtered_count_matrix/   barcodes, features (one column), matrix
    spatial/<section>_spatial/                                 as Space Ranger writes it
    metadata/<section>_metadata.csv                            a row per barcode: patientid, Classification, ...
    [images/]<section>.tif                                     at full resolution (optional)
    patients.tsv                                               section_id patient_id   (optional)

The patient is the one ``patientid`` of the metadata unless ``patients.tsv`` says otherwise, and ``Classification``, the
pathologist's label, becomes the spots' region unless ``regions/`` has labels of the section.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.listing import Listing
from gr2st_core.cohorts.records import COUNTS, RawSection, SectionEntry
from gr2st_core.cohorts.regions import REGIONS
from gr2st_core.cohorts.spaceranger_listing import subfolders
from gr2st_core.cohorts.visium_files import FoundSection, images_in, make_entry, spatial_files
from gr2st_core.cohorts.visium_section import POSITIONS, read_visium
from gr2st_core.cohorts.wu2021_metadata import read_labels, read_patient
from gr2st_core.errors import AlignmentError, DataError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import DEFAULT_LIMITS, Limits

MATRICES, SPATIAL, METADATA = "filtered_count_matrices", "spatial", "metadata"
_MATRIX_SUFFIX, _SPATIAL_SUFFIX, _METADATA_SUFFIX = "_filtered_count_matrix", "_spatial", "_metadata.csv"


class Wu2021Reader:
    """Reads folders laid out as the unpacked archive of Wu et al. 2021."""

    layout: ClassVar[str] = "wu2021"
    expects: ClassVar[str] = f"{MATRICES}/<section>{_MATRIX_SUFFIX}/, {SPATIAL}/<section>{_SPATIAL_SUFFIX}/"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` has a section's matrix or spatial folder where this layout has them."""
        try:
            return bool(_sections(folder / MATRICES, _MATRIX_SUFFIX) or _sections(folder / SPATIAL, _SPATIAL_SUFFIX))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return _Wu2021Listing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one section and the labels of its spots."""
        faults = Faults(section=str(entry.key))
        path = entry.annotations.get(REGIONS)
        labels = read_labels(path, faults) if path is not None and path.name.endswith(_METADATA_SUFFIX) else None
        section = read_visium(entry, faults, limits, labels)
        if labels and section.regions is not None and not (section.regions != "").any():
            raise AlignmentError(
                "labels have no spot",
                section=str(entry.key),
                file=path,
                field="barcode",
                found=sorted(labels)[:10],
                expected=f"barcodes of {entry.files[POSITIONS]}",
                hint="the metadata may be another section's; without them the section is read without labels",
            )
        return section


def _sections(folder: Path, suffix: str) -> list[str]:
    names = [path.name for path in subfolders(folder)] if folder.is_dir() else []
    return [name.removesuffix(suffix) for name in names if name.endswith(suffix)]


class _Wu2021Listing(Listing[FoundSection]):
    reads: ClassVar[frozenset[str]] = frozenset()

    def find(self) -> Mapping[str, FoundSection]:
        matrices, spatial = self.folder / MATRICES, self.folder / SPATIAL
        sections = {*_sections(matrices, _MATRIX_SUFFIX), *_sections(spatial, _SPATIAL_SUFFIX)}
        return {section: _find(section, self.folder) for section in sections}

    def entry(self, key: SectionKey, found: FoundSection, faults: Faults) -> SectionEntry | None:
        patient = self.patients.get(key.section_id) or _patient(found, self.folder, faults)
        found = replace(found, annotations={**found.annotations, **self.labels_of(key.section_id)})
        return make_entry(key, found, self.folder, patient, faults)


def _find(section: str, folder: Path) -> FoundSection:
    files = spatial_files([folder / SPATIAL / f"{section}{_SPATIAL_SUFFIX}"])
    counts = folder / MATRICES / f"{section}{_MATRIX_SUFFIX}"
    metadata = folder / METADATA / f"{section}{_METADATA_SUFFIX}"
    places = [place for place in (folder, folder / "images") if place.is_dir()]
    return FoundSection(
        folder=folder,
        files={**files, **({COUNTS: counts} if counts.is_dir() else {})},
        fullres=[image for place in places for image in images_in(place) if image.stem == section],
        annotations={REGIONS: metadata} if os.path.lexists(metadata) else {},
    )


def _patient(found: FoundSection, folder: Path, faults: Faults) -> str | None:
    metadata = found.annotations.get(REGIONS)
    if metadata is None:
        return None
    try:
        return read_patient(require_inside(metadata, folder), faults)
    except DataError:
        return None  # noted with the section's other files
