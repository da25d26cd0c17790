"""Reader of cohorts of AnnData files, one a section.

Belongs here: positions and scale of one file, put together with its counts. Does not belong here: finding the files
(``anndata_listing``), what the object holds beside (``anndata_sample``), opening images.

::

    <section>.h5ad | <section>.h5        AnnData: obsm['spatial'] in pixels, counts, uns['spatial'] as scanpy writes it
    <section>.jpg | .png | .tif | .svs   the full-resolution image (optional); else the one in uns['spatial']
    patients.tsv                         section_id patient_id        (optional)
    cohort.yml                           pitch_um or um_per_px        (where the files state no scale)
    regions/<section>.tsv | .geojson     labels                       (optional, instead of those in obs)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from gr2st_core.cohorts.anndata_listing import SAMPLE, AnnDataListing, list_files
from gr2st_core.cohorts.anndata_parts import AnnDataParts, is_anndata
from gr2st_core.cohorts.anndata_sample import Sample, read_sample
from gr2st_core.cohorts.cohort_file import CohortFile
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.records import RawSection, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, read_regions
from gr2st_core.cohorts.scale import facts_of, stated_pitch_um
from gr2st_core.cohorts.spot_scale import StatedScale, checked_positions, measured_pitch, pitch_in_um
from gr2st_core.containers.embedded_image import embedded_image, library_of
from gr2st_core.containers.hdf5_guard import is_hdf5, open_hdf5
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.settings import DEFAULT_LIMITS, Limits
from gr2st_core.types import FloatArray

_POSITIONS = "obsm/spatial"


class AnnDataReader:
    """Reads folders of AnnData files."""

    layout: ClassVar[str] = "anndata"
    expects: ClassVar[str] = "<section>.h5ad or <section>.h5 that hold an AnnData object"

    def recognises(self, folder: Path) -> bool:
        """Tell whether a file of ``folder`` holds an AnnData object, or claims to."""
        try:
            return any(_is_sample(path) for path in list_files(folder))
        except OSError:
            return False  # a folder that cannot be listed is nobody's

    def entries(self, name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
        """List the sections, and every fault that a listing can see."""
        return AnnDataListing(name, folder).listed()

    def read(self, entry: SectionEntry, limits: Limits = DEFAULT_LIMITS) -> RawSection:
        """Parse one file."""
        if SAMPLE not in entry.files:
            raise MissingArtifactError("a section has no AnnData file", section=str(entry.key), expected=self.expects)
        file, faults = entry.files[SAMPLE], Faults(section=str(entry.key))
        cohort = facts_of(entry, faults)
        with open_hdf5(file, str(entry.key)) as root:
            parts = AnnDataParts(root, file, faults, limits)
            sample = read_sample(parts)
            pixel_xy, stated = _place(parts, sample, is_embedded=entry.image_path == file)
        return section_of(entry, sample, pixel_xy, cohort, stated, faults, file=file)


def section_of(
    entry: SectionEntry,
    sample: Sample,
    pixel_xy: FloatArray,
    cohort: CohortFile,
    stated: StatedScale,
    faults: Faults,
    *,
    file: Path,
    n_spots_without_counts: int = 0,
) -> RawSection:
    """Put a section together from its spots on the tissue.

    Raises
    ------
    DataError
        The scale is not known, or any fault found before.
    """
    kept = sample.on_tissue
    pixel_xy = pixel_xy[kept]
    pitch_px = measured_pitch(pixel_xy, faults, file=file)
    pitch_um = float("nan")
    if pitch_px > 0:
        in_cohort_file = stated_pitch_um(cohort, pitch_px, entry, faults)
        pitch_um = pitch_in_um(pitch_px, in_cohort_file, stated, faults, file=file)
    array_xy = pixel_xy / pitch_px if sample.grid_xy is None else sample.grid_xy[kept]
    regions = None if sample.regions is None else sample.regions[kept]
    if REGIONS in entry.annotations and pitch_px > 0:
        regions = read_regions(entry.annotations[REGIONS], sample.spot_ids[kept], array_xy, pixel_xy, faults)
    faults.raise_any("a section cannot be read")
    return RawSection(
        key=entry.key,
        patient_id=entry.patient_id,
        spot_ids=sample.spot_ids[kept],
        array_xy=array_xy,
        pixel_xy=pixel_xy,
        counts=sample.counts.rows(kept),
        pitch_um=pitch_um,
        pitch_px=pitch_px,
        um_per_px=pitch_um / pitch_px,
        image_path=entry.image_path,
        n_spots_without_counts=n_spots_without_counts,
        regions=regions,
    )


def positions_of(parts: AnnDataParts, sample: Sample) -> FloatArray:
    """Read ``obsm['spatial']``, x and y in pixels, one row per row of ``obs``; NaN, and a fault, if it is not sound."""
    before = len(parts.faults)
    xy = parts.array(_POSITIONS)
    if xy is None and len(parts.faults) == before:
        parts.faults.add(
            "an AnnData object has no positions",
            file=parts.file,
            field="obsm['spatial']",
            found=parts.names("obsm"),
            expected="x and y of every spot in pixels of the full-resolution image",
        )
    return checked_positions(xy, sample.spot_ids, parts.faults, file=parts.file, field="obsm['spatial']")


def _place(parts: AnnDataParts, sample: Sample, *, is_embedded: bool) -> tuple[FloatArray, StatedScale]:
    """Positions in pixels of the section's image, and what the file says of its scale."""
    xy = positions_of(parts, sample)
    try:
        library = library_of(parts.root, parts.file)
        image = embedded_image(parts.root, parts.file) if is_embedded else None
    except DataError as error:
        parts.faults.add(error.message, type(error), **error.context)
        return xy, StatedScale()
    scale = 1.0 if image is None else image.scale
    return xy * scale, _stated(parts, library, scale)


def _stated(parts: AnnDataParts, library: Any | None, scale: float) -> StatedScale:
    factors = "" if library is None else f"{library.name.strip('/')}/scalefactors"

    def number(path: str) -> float | None:
        value = parts.number(path)
        if value is not None and not 0 < value < float("inf"):
            parts.faults.add("a scale is not positive", file=parts.file, field=path, found=value)
            return None
        return value

    um_per_px = number(f"{factors}/microns_per_pixel") if factors else None
    diameter = number(f"{factors}/spot_diameter_fullres") if factors else None
    return StatedScale(
        pitch_um=number("uns/pitch_um"),
        um_per_px=None if um_per_px is None else um_per_px / scale,
        spot_diameter_px=None if diameter is None else diameter * scale,
    )


def _is_sample(path: Path) -> bool:
    if not is_hdf5(path):
        return False
    if path.suffix.lower() == ".h5ad":
        return True  # damaged or not: who reads it says what is wrong
    try:
        with open_hdf5(path) as root:
            return is_anndata(root)
    except DataError:
        return False
