"""Files of one Visium section, found by name and checked for safety.

Belongs here: what all layouts of Visium share: the folder of positions, scale factors and small images; the image at
full resolution; the entry made of them. Does not belong here: which folders of a cohort are sections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.patients import PATIENTS_FILE
from gr2st_core.cohorts.records import COUNTS, IMAGE, SectionEntry
from gr2st_core.cohorts.visium_section import POSITIONS, SCALE
from gr2st_core.errors import DataError, MissingArtifactError
from gr2st_core.types import SectionKey

POSITION_NAMES = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
SCALE_NAME = "scalefactors_json.json"
IMAGE_NAMES = ("tissue_hires_image.png", "tissue_lowres_image.png")
FULLRES_SUFFIXES = {".tif", ".tiff", ".btf", ".svs", ".ndpi", ".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class FoundSection:
    """Files of one section as their names say, nothing checked."""

    section: str
    folder: Path
    files: Mapping[str, Path]
    fullres: list[Path] = field(default_factory=list)
    annotations: Mapping[str, Path] = field(default_factory=dict)


def spatial_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Positions, scale factors and the larger of the small images, each from the first folder that has it."""
    wanted = {POSITIONS: POSITION_NAMES, SCALE: (SCALE_NAME,), IMAGE: IMAGE_NAMES}
    folders = list(folders)
    found: dict[str, Path] = {}
    for role, names in wanted.items():
        paths = [folder / name for folder in folders for name in names if _is_there(folder / name)]
        if paths:
            found[role] = paths[0]
    return found


def images_in(folder: Path) -> list[Path]:
    """Image files right in a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in FULLRES_SUFFIXES and not path.is_dir())


def make_entry(
    cohort: str, found: FoundSection, cohort_folder: Path, patient: str | None, faults: Faults
) -> SectionEntry | None:
    """Make the entry of a section; whatever is wrong with it goes to ``faults``."""
    try:
        key = SectionKey(cohort, found.section)
    except DataError as error:
        name = repr(found.section)
        faults.add("a section has an unusable name", file=found.folder, found=name, expected=error.message)
        return None
    files = {**found.files, **({IMAGE: found.fullres[0]} if found.fullres else {})}
    if len(found.fullres) > 1:
        faults.add(
            "a section has more than one image",
            file=found.fullres[0].parent,
            found=[path.name for path in found.fullres],
            expected="one image beside the folder spatial",
            hint="move the others out of the folder",
        )
    for role, expected in ((COUNTS, "filtered_feature_bc_matrix.h5"), (POSITIONS, POSITION_NAMES), (SCALE, SCALE_NAME)):
        if role not in files and not any(fault.context.get("field") == role for fault in faults.found):
            faults.add("a section lacks a file", MissingArtifactError, file=found.folder, field=role, expected=expected)
    for path in (*files.values(), *found.annotations.values()):
        try:
            require_inside(path, cohort_folder, section=str(key), may_be_folder=True)
        except DataError as error:
            faults.found.append(error)
    if patient is None:
        faults.add(
            "a section has no patient",
            file=cohort_folder / PATIENTS_FILE,
            field="patient_id",
            expected="a row in the patient table",
            hint=f"add the row: {found.section}<tab><patient>",
        )
        return None
    return SectionEntry(key, patient, files, found.annotations)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
