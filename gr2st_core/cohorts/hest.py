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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gr2st_core.cohorts.anndata_listing import SAMPLE, key_of, note_unknown_sections
from gr2st_core.cohorts.anndata_parts import AnnDataParts
from gr2st_core.cohorts.anndata_reader import positions_of, section_of
from gr2st_core.cohorts.anndata_sample import read_sample
from gr2st_core.cohorts.cohort_file import CohortFile
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.hest_metadata import check_pitch, patient_name, read_metadata, studies_of, um_per_px_of
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.patients import read_patients
from gr2st_core.cohorts.records import IMAGE, RawSection, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, region_files
from gr2st_core.cohorts.spot_scale import StatedScale, nearest_pitch
from gr2st_core.containers.hdf5_guard import is_hdf5, open_hdf5
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import SectionKey

METADATA = "metadata"
_SPOTS_FOLDER, _METADATA_FOLDER, _SLIDES_FOLDER = "st", "metadata", "wsis"


@dataclass(frozen=True, slots=True)
class _Found:
    section: str
    sample: Path
    metadata: Path
    slide: Path
    annotations: Mapping[str, Path]


class HestReader:
    """Reads folders laid out as HEST-1k."""

    layout: ClassVar[str] = "hest"
    expects: ClassVar[str] = "st/<id>.h5ad, metadata/<id>.json, wsis/<id>.tif"

    def recognises(self, folder: Path) -> bool:
        """Tell whether ``folder`` has HDF5 files and metadata where HEST-1k has them."""
        try:
            return (folder / _METADATA_FOLDER).is_dir() and any(is_hdf5(found.sample) for found in _find(folder))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the samples of cohort ``name``, sorted by key, and every fault that a listing can see.

        Raises
        ------
        SchemaError
            If ``name`` cannot name a cohort.
        """
        SectionKey(name, "any")
        faults = Faults(cohort=name)
        patients = read_patients(folder, faults)
        if len(faults):
            return [], faults.found
        found = _find(folder)
        note_unknown_sections(folder, patients, [files.section for files in found], faults)
        metadata: dict[str, Mapping[str, Any]] = {}
        for files in found:
            own = Faults(section=f"{name}/{files.section}")
            _check_files(files, folder, own)
            metadata[files.section] = read_metadata(files.metadata, own) if not len(own) else {}
            faults.found.extend(own.found)
        ids = PatientIds(folder, patients)
        studies = studies_of(metadata)
        entries = []
        for files in found:
            if metadata[files.section]:
                own = Faults(section=f"{name}/{files.section}")
                entry = _entry(name, files, metadata[files.section], studies, ids, own)
                faults.found.extend(own.found)
                entries.extend([] if entry is None else [entry])
        return sorted(entries, key=lambda entry: entry.key), faults.found

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one sample.

        Raises
        ------
        DataError
            A ``CohortError`` that lists all faults where there are several.
        """
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


def _find(folder: Path) -> list[_Found]:
    spots = folder / _SPOTS_FOLDER
    samples = sorted(path for path in spots.iterdir() if path.suffix == ".h5ad") if spots.is_dir() else []
    regions = region_files(folder)
    return [
        _Found(
            path.stem,
            path,
            folder / _METADATA_FOLDER / f"{path.stem}.json",
            folder / _SLIDES_FOLDER / f"{path.stem}.tif",
            {REGIONS: regions[path.stem]} if path.stem in regions else {},
        )
        for path in samples
    ]


def _check_files(found: _Found, folder: Path, faults: Faults) -> None:
    slide = [found.slide] if _exists(found.slide) else []
    for path in (found.sample, found.metadata, *slide, *found.annotations.values()):
        try:
            require_inside(path, folder)
        except DataError as error:
            faults.add(error.message, type(error), **error.context)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _entry(
    cohort: str,
    found: _Found,
    metadata: Mapping[str, Any],
    studies: Mapping[str, set[str]],
    ids: PatientIds,
    faults: Faults,
) -> SectionEntry | None:
    key = key_of(cohort, found.section, found.sample, faults)
    name = patient_name(metadata)
    is_ambiguous = name is not None and len(studies[name]) > 1
    source = "the metadata's patient, whose name only one study of the folder uses"
    patient = ids.of(found.section, [] if name is None or is_ambiguous else [name], faults, source=source)
    if key is None or patient is None:
        return None
    files = {SAMPLE: found.sample, METADATA: found.metadata}
    image = {IMAGE: found.slide} if _exists(found.slide) else {}
    return SectionEntry(key, patient, {**files, **image}, found.annotations)
