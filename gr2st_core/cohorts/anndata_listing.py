"""Which sections a folder of AnnData files holds, and whose they are.

Belongs here: names, patients, images beside the files, safety of files. Does not belong here: counts, positions, scale
(``anndata_reader``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from gr2st_core.cohorts.anndata_parts import AnnDataParts, is_anndata
from gr2st_core.cohorts.anndata_sample import patients_in
from gr2st_core.cohorts.cohort_file import read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.patient_names import PatientIds
from gr2st_core.cohorts.patients import PATIENTS_FILE, read_patients
from gr2st_core.cohorts.records import IMAGE, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, region_files
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.containers.embedded_image import embedded_image
from gr2st_core.containers.hdf5_guard import open_hdf5
from gr2st_core.errors import DataError
from gr2st_core.settings import DEFAULT_LIMITS
from gr2st_core.types import SectionKey

SAMPLE = "sample"
"""Role of the file or store of a section."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ome.tif", ".ome.tiff", ".tif", ".tiff", ".svs")
_SUFFIXES = (".h5ad", ".h5")


def list_files(folder: Path) -> list[Path]:
    """Files of ``folder`` that could be AnnData by their names, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)


def list_sections(name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    """List the sections of cohort ``name``, sorted by key, and the faults found.

    A section with a fault is left out; if the patient table or the cohort file is damaged none is listed.

    Raises
    ------
    SchemaError
        If ``name`` cannot name a cohort.
    """
    SectionKey(name, "any")
    faults = Faults(cohort=name)
    patients = read_patients(folder, faults)
    read_cohort_file(folder, faults)
    if len(faults):
        return [], faults.found
    files = list_files(folder)
    note_unknown_sections(folder, patients, [file.stem for file in files], faults)
    ids = PatientIds(folder, patients)
    shared = {stem for stem, n in Counter(file.stem for file in files).items() if n > 1}
    entries = []
    for file in files:
        own = Faults(section=f"{name}/{file.stem}")
        if file.stem in shared:
            own.add("two files have the name of one section", file=file, expected="one file per section")
        entry = _entry(name, file, folder, ids, own)
        faults.found.extend(own.found)
        if entry is not None and not len(own):
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.key), faults.found


def note_unknown_sections(folder: Path, patients: dict[str, str], sections: list[str], faults: Faults) -> None:
    """Note rows of the patient table for which the folder has no section."""
    if unknown := sorted(set(patients) - set(sections)):
        faults.add(
            "the patient table names sections that the folder does not hold",
            file=folder / PATIENTS_FILE,
            field="section_id",
            found=unknown[:10],
            expected=sections[:10],
        )


def key_of(cohort: str, section: str, file: Path, faults: Faults) -> SectionKey | None:
    """Make the key of a section, or note that its name will not do."""
    try:
        return SectionKey(cohort, section)
    except DataError as error:
        faults.add("a section has an unusable name", file=file, found=repr(section), expected=error.message)
        return None


def annotations_of(section: str, folder: Path) -> dict[str, Path]:
    """Give the label file of a section as an annotation; nothing where there is none.

    Raises
    ------
    DataError
        It lies outside ``folder``.
    """
    path = region_files(folder).get(section)
    return {} if path is None else {REGIONS: require_inside(path, folder)}


def _entry(cohort: str, file: Path, folder: Path, ids: PatientIds, faults: Faults) -> SectionEntry | None:
    key = key_of(cohort, file.stem, file, faults)
    if key is None:
        return None
    try:
        require_inside(file, folder)
        annotations = annotations_of(file.stem, folder)
        image = _image_beside(file, folder, faults)
        with open_hdf5(file) as root:
            if not is_anndata(root):
                found = sorted(root.keys())[:10]
                faults.add("a file holds no AnnData object", file=file, found=found, expected="groups X, obs and var")
                return None
            obs = AnnDataParts(root, file, faults, DEFAULT_LIMITS).table("obs")
            if image is None and embedded_image(root, file) is not None:
                image = file
    except DataError as error:
        faults.add(error.message, type(error), **error.context)
        return None
    if len(faults):
        return None
    patient = ids.of(key.section_id, [] if obs is None else patients_in(obs), faults, source="a column of obs")
    files = {SAMPLE: file, **({} if image is None else {IMAGE: image}), **facts_file(folder)}
    return None if patient is None else SectionEntry(key, patient, files, annotations)


def _image_beside(file: Path, folder: Path, faults: Faults) -> Path | None:
    images = [path for path in sorted(folder.iterdir()) if _stem_of_image(path) == file.stem]
    for path in images:
        require_inside(path, folder)
    if len(images) > 1:
        faults.add(
            "a section has more than one image",
            file=folder,
            found=[path.name for path in images],
            expected="one image",
            hint="move the others out of the folder",
        )
    return images[0] if images else None


def _stem_of_image(path: Path) -> str | None:
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if path.name.lower().endswith(suffix)), None)
    return None if suffix is None else path.name[: -len(suffix)]
