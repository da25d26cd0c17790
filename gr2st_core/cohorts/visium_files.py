"""Files of one Visium section, found by name and checked for safety.

Belongs here: what all layouts of Visium share: the folder of positions, scale factors and small images; the image at
full resolution; the entry made of them. Does not belong here: which folders of a cohort are sections.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.listing import check_inside, check_one
from gr2st_core.cohorts.patients import refuse_patient
from gr2st_core.cohorts.records import COUNTS, IMAGE, SectionEntry
from gr2st_core.cohorts.visium_section import POSITIONS, SCALE
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

POSITION_NAMES = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
SCALE_NAME = "scalefactors_json.json"
IMAGE_NAMES = ("tissue_hires_image.png", "tissue_lowres_image.png")
FULLRES_SUFFIXES = {".tif", ".tiff", ".btf", ".svs", ".ndpi", ".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class FoundSection:
    """Files of one section as their names say, nothing checked."""

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
        paths = [folder / name for folder in folders for name in names if os.path.lexists(folder / name)]
        if paths:
            found[role] = paths[0]
    return found


def images_in(folder: Path) -> list[Path]:
    """Image files right in a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in FULLRES_SUFFIXES and not path.is_dir())


def make_entry(
    key: SectionKey, found: FoundSection, cohort_folder: Path, patient: str | None, faults: Faults
) -> SectionEntry | None:
    """Make the entry of a section; whatever is wrong with it goes to ``faults``."""
    files = {**found.files, **({IMAGE: found.fullres[0]} if found.fullres else {})}
    if found.fullres:
        check_one("image", found.fullres, faults, file=found.fullres[0])
    for role, expected in ((COUNTS, "filtered_feature_bc_matrix.h5"), (POSITIONS, POSITION_NAMES), (SCALE, SCALE_NAME)):
        if role not in files and not any(fault.context.get("field") == role for fault in faults.found):
            faults.add("a section lacks a file", MissingArtifactError, file=found.folder, field=role, expected=expected)
    check_inside((*files.values(), *found.annotations.values()), cohort_folder, faults, may_be_folders=True)
    if patient is None:
        refuse_patient(key.section_id, cohort_folder, faults, expected="a row in the patient table")
        return None
    return SectionEntry(key, patient, files, found.annotations)
