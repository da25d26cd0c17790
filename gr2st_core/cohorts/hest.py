"""Reader of HEST-1k folders.

Belongs here: joining a sample's AnnData file with its metadata and slide. Does not belong here: what an AnnData object
holds (``anndata_sample``), what the metadata mean (``hest_metadata``), opening slides.

::

    st/<id>.h5ad            AnnData: raw counts in X, obsm['spatial'] in pixels of the slide
    metadata/<id>.json      pixel_size_um_estimated, pixel_size_um_embedded, inter_spot_dist, st_technology, patient,
                            dataset_title
    wsis/<id>.tif           pyramid (optional)
    patients.tsv            section_id patient_id (optional)
    regions/<id>.geojson    labels in pixels of the slide, or <id>.tsv (optional)

Folders such as ``patches`` and ``tissue_seg`` are derived from these and not read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gr2st_core.cohorts.anndata_listing import SAMPLE
from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.anndata_reader import positions_of, section_of
from gr2st_core.cohorts.anndata_sample import read_sample
from gr2st_core.cohorts.cohort_file import CohortFile
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.hest_metadata import check_pitch, patient_name, read_metadata, studies_of, um_per_px_of
from gr2st_core.cohorts.listing import Listing, check_inside
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.records import IMAGE, RawSection, SectionEntry
from gr2st_core.cohorts.spot_scale import StatedScale, nearest_pitch
from gr2st_core.containers.hdf5_guard import is_hdf5, open_hdf5
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import DEFAULT_LIMITS, Limits

METADATA = "metadata"
_SPOTS_FOLDER, _METADATA_FOLDER, _SLIDES_FOLDER = "st", "metadata", "wsis"


@dataclass(frozen=True, slots=True)
class _Found:
    files: Mapping[str, Path]
    annotations: Mapping[str, Path]
    metadata: Mapping[str, Any]
    faults: list[DataError]


class HestReader:
    """Reads folders laid out as HEST-1k."""

    layout: ClassVar[str] = "hest"
    expects: ClassVar[str] = "st/<id>.h5ad, metadata/<id>.json, wsis/<id>.tif"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` has HDF5 files and metadata where HEST-1k has them."""
        try:
            return (folder / _METADATA_FOLDER).is_dir() and any(is_hdf5(path) for path in _samples(folder))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return _HestListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one sample."""
        for role in (SAMPLE, METADATA):
            if role not in entry.files:
                raise MissingArtifactError("a sample lacks a file", section=str(entry.key), found=role)
        file, faults = entry.files[SAMPLE], Faults(section=str(entry.key))
        metadata = read_metadata(entry.files[METADATA], faults)
        um_per_px = um_per_px_of(metadata, entry.files[METADATA], faults)
        with open_hdf5(file, str(entry.key)) as root:
            parts = AnnDataParts(root, file, faults, limits)
            sample = read_sample(parts)
            pixel_xy = positions_of(parts, sample)
        if um_per_px is not None:
            pitch_um = nearest_pitch(pixel_xy[sample.on_tissue]) * um_per_px
            check_pitch(pitch_um, metadata, entry.files[METADATA], faults)
        # Without a pixel size there is a fault already; the unit keeps a second one from being noted for it.
        stated = StatedScale(um_per_px=1.0 if um_per_px is None else um_per_px)
        return section_of(entry, sample, pixel_xy, CohortFile(), stated, faults, file=file)


class _HestListing(Listing[_Found]):
    reads: ClassVar[frozenset[str]] = frozenset()

    def find(self) -> Mapping[str, _Found]:
        found = {sample.stem: self._found(sample) for sample in _samples(self.folder)}
        self._studies = studies_of({section: files.metadata for section, files in found.items()})
        self._ids = PatientIds(self.folder, self.patients)
        return found

    def entry(self, key: SectionKey, found: _Found, faults: Faults) -> SectionEntry | None:
        faults.found.extend(found.faults)
        if not found.metadata:
            return None
        name = patient_name(found.metadata)
        is_ambiguous = name is not None and len(self._studies[name]) > 1
        source = "the metadata's patient, whose name only one study of the folder uses"
        names = [] if name is None or is_ambiguous else [name]
        patient = self._ids.of(key.section_id, names, faults, source=source)
        return None if patient is None else SectionEntry(key, patient, found.files, found.annotations)

    def _found(self, sample: Path) -> _Found:
        metadata = self.folder / _METADATA_FOLDER / f"{sample.stem}.json"
        slide = self.folder / _SLIDES_FOLDER / f"{sample.stem}.tif"
        files = {SAMPLE: sample, METADATA: metadata, **({IMAGE: slide} if os.path.lexists(slide) else {})}
        annotations = self.labels_of(sample.stem)
        faults = Faults(section=f"{self.cohort}/{sample.stem}")
        check_inside((*files.values(), *annotations.values()), self.folder, faults)
        facts = {} if len(faults) else read_metadata(metadata, faults)
        return _Found(files, annotations, facts, faults.found)


def _samples(folder: Path) -> list[Path]:
    spots = folder / _SPOTS_FOLDER
    return sorted(path for path in spots.iterdir() if path.suffix == ".h5ad") if spots.is_dir() else []
