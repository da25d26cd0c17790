"""Which sections a folder of the her2st layout holds, and where their files are.

Belongs here: names, patients, presence and safety of files. Does not belong here: what the files contain, but for
the names in the deconvolution archive and the patient table.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gr2st_core.cohorts.cohort_file import read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.patients import HER2ST_RULE, PATIENTS_FILE, patient_of, read_patients
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.cohorts.regions import region_files
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.types import SectionKey

COUNTS_FOLDER = "data/ST-cnts"
SPOTS_FOLDER = "data/ST-spotfiles"
IMAGES_FOLDER = "data/ST-imgs"
LABELS_FOLDER = "data/ST-pat/lbl"
PROPORTIONS_FOLDER = "res/ST-deconv/props"
COUNTS_SUFFIX = ".tsv.gz"
SPOTS_SUFFIX = "_selection.tsv"
LABELS_SUFFIX = "_labeled_coordinates.tsv"

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class _Found:
    """Files of one section as their names say, nothing checked."""

    section: str
    counts: Path | None
    spots: Path | None
    images: list[Path]
    annotations: Mapping[str, Path]

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.counts, self.spots, *self.images) if path is not None]


def list_sections(name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    """List the sections of cohort ``name``, sorted by key, and the faults found.

    A section with a fault is left out. The patient of a section is the letter of its name (``B`` for ``B4``) unless
    ``patients.tsv`` says otherwise; if that table or the cohort file is damaged no section is listed, for its patient
    or scale would be a guess.

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
    found = _find(folder, faults)
    if unknown := sorted(set(patients) - {files.section for files in found}):
        faults.add(
            "the patient table names sections that the folder does not hold",
            file=folder / PATIENTS_FILE,
            field="section_id",
            found=unknown[:10],
            expected=[files.section for files in found[:10]],
        )
    entries = []
    for files in found:
        section_faults = Faults(section=f"{name}/{files.section}")
        entry = _entry(name, files, folder, patients, section_faults)
        faults.found.extend(section_faults.found)
        if entry is not None and not len(section_faults):
            entries.append(entry)
    return entries, faults.found


def _find(folder: Path, faults: Faults) -> list[_Found]:
    counts = _by_section(folder / COUNTS_FOLDER, COUNTS_SUFFIX)
    spots = _by_section(folder / SPOTS_FOLDER, SPOTS_SUFFIX)
    images = _images(folder / IMAGES_FOLDER)
    annotations = {
        "deconvolution": _proportions(folder / PROPORTIONS_FOLDER, folder, faults),
        "regions": {**_by_section(folder / LABELS_FOLDER, LABELS_SUFFIX), **region_files(folder)},
    }
    return [
        _Found(
            section=section,
            counts=counts.get(section),
            spots=spots.get(section),
            images=images.get(section, []),
            annotations={kind: paths[section] for kind, paths in annotations.items() if section in paths},
        )
        for section in sorted({*counts, *spots, *images})
    ]


def _entry(
    cohort: str, found: _Found, folder: Path, patients: Mapping[str, str], faults: Faults
) -> SectionEntry | None:
    """Make the entry of a section; whatever is wrong with it goes to ``faults``."""
    try:
        key = SectionKey(cohort, found.section)
    except DataError as error:
        name = repr(found.section)
        faults.add("a section has an unusable name", file=found.files[0], found=name, expected=error.message)
        return None
    _check_presence(found, folder, faults)
    for path in (*found.files, *found.annotations.values()):
        try:
            require_inside(path, folder, section=str(key))
        except DataError as error:
            faults.found.append(error)
    patient = patient_of(found.section, patients, HER2ST_RULE)
    if patient is None:
        faults.add(
            "a section has no patient",
            file=folder / PATIENTS_FILE,
            field="patient_id",
            expected="a section named by one capital letter and a number, or a row in the patient table",
            hint=f"add the row: {found.section}<tab><patient>",
        )
        return None
    parts = {"counts": found.counts, "spots": found.spots, "image": next(iter(found.images), None)}
    files = {role: path for role, path in parts.items() if path} | facts_file(folder)
    return SectionEntry(key, patient, files, found.annotations)


def _check_presence(found: _Found, folder: Path, faults: Faults) -> None:
    if found.spots is None:
        faults.add(
            "a section has no spot file",
            MissingArtifactError,
            file=folder / SPOTS_FOLDER / f"{found.section}{SPOTS_SUFFIX}",
            found=[path.name for path in found.files],
        )
    if found.counts is None and not found.images:
        faults.add(
            "a section has neither counts nor an image",
            MissingArtifactError,
            file=folder / COUNTS_FOLDER / f"{found.section}{COUNTS_SUFFIX}",
            found=[path.name for path in found.files],
        )
    if len(found.images) > 1:
        faults.add(
            "a section has more than one image",
            file=found.images[0].parent,
            found=[path.name for path in found.images],
            expected="one image",
            hint="move the others out of the folder",
        )


def _by_section(folder: Path, suffix: str) -> dict[str, Path]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name.removesuffix(suffix): path for path in files if path.name.endswith(suffix)}


def _images(folder: Path) -> dict[str, list[Path]]:
    images: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*/*")):
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            images.setdefault(path.parent.name, []).append(path)
    return images


def _proportions(folder: Path, cohort_folder: Path, faults: Faults) -> dict[str, Path]:
    """Deconvolution table by section: a file of its own, or the archive that holds one."""
    suffix = "-proportion.tsv"
    archive = folder / "major.zip"
    packed: dict[str, Path] = {}
    if archive.exists():
        try:
            with zipfile.ZipFile(require_inside(archive, cohort_folder)) as opened:
                members = [Path(name).name for name in opened.namelist() if name.endswith(suffix)]
            packed = {name.removesuffix(suffix): archive for name in members}
        except zipfile.BadZipFile as error:
            faults.add("a zip file is truncated or damaged", file=archive, found=str(error), hint="fetch it again")
        except DataError as error:
            faults.found.append(error)
    return {**packed, **_by_section(folder / "major", suffix)}
