"""Which sections a folder of legacy Spatial Transcriptomics holds, and where their files are.

Belongs here: patients, presence and safety of files. Does not belong here: what a file is (``legacy_files``), what it
contains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from gr2st_core.cohorts.cohort_file import read_cohort_file
from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.gene_names import gene_table
from gr2st_core.cohorts.legacy_files import PACKED_IMAGE, SPOTS, kind_of, section_of, walk
from gr2st_core.cohorts.patients import LEGACY_RULE, PATIENTS_FILE, patient_of, read_patients
from gr2st_core.cohorts.records import COUNTS, IMAGE, SectionEntry
from gr2st_core.cohorts.regions import REGIONS, region_files
from gr2st_core.cohorts.scale import facts_file
from gr2st_core.errors import DataError, ImageError, MissingArtifactError
from gr2st_core.types import SectionKey

_Found = Mapping[str, list[Path]]  # files by what they are


def list_legacy_sections(name: str, folder: Path) -> tuple[list[SectionEntry], list[DataError]]:
    """List the sections of cohort ``name``, sorted by key, and the faults found.

    A section with a fault is left out. If the patient table or the cohort file is damaged no section is listed, for its
    patient or scale would be a guess.

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
    shared = facts_file(folder) | gene_table([path for path in walk(folder) if path.parent == folder])
    drawn = region_files(folder)
    entries = []
    sections = _find(folder)
    for section in sorted(sections):
        section_faults = Faults(section=f"{name}/{section}")
        found = dict(sections[section])
        if section in drawn:
            found[REGIONS] = [drawn[section]]
        entry = _entry(name, section, found, shared, folder, patients, section_faults)
        faults.found.extend(section_faults.found)
        if entry is not None and not len(section_faults):
            entries.append(entry)
    if unknown := sorted(set(patients) - set(sections)):
        faults.add(
            "the patient table names sections that the folder does not hold",
            file=folder / PATIENTS_FILE,
            field="section_id",
            found=unknown[:10],
            expected=sorted(sections)[:10],
        )
    return entries, faults.found


def _find(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Files by section and by what they are; an image without counts or spots makes no section."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in walk(folder):
        if kind := kind_of(path):
            found[section_of(path)][kind].append(path)
    return {section: files for section, files in found.items() if set(files) & {COUNTS, SPOTS}}


def _entry(
    cohort: str,
    section: str,
    found: _Found,
    shared: Mapping[str, Path],
    folder: Path,
    patients: Mapping[str, str],
    faults: Faults,
) -> SectionEntry | None:
    """Make the entry of a section; whatever is wrong with it goes to ``faults``."""
    paths = [path for several in found.values() for path in several]
    try:
        key = SectionKey(cohort, section)
    except DataError as error:
        faults.add("a section has an unusable name", file=paths[0], found=repr(section), expected=error.message)
        return None
    _check_presence(found, folder, faults)
    for path in (*paths, *shared.values()):
        try:
            require_inside(path, folder, section=str(key))
        except DataError as error:
            faults.found.append(error)
    patient = patient_of(section, patients, LEGACY_RULE)
    if patient is None:
        faults.add(
            "a section has no patient",
            file=folder / PATIENTS_FILE,
            field="patient_id",
            expected="a section named like P2_ST_rep1 or BC23209_C1, or a row in the patient table",
            hint=f"add the row: {section}<tab><patient>",
        )
        return None
    files = {role: found[role][0] for role in (COUNTS, SPOTS, IMAGE) if role in found}
    annotations = {REGIONS: found[REGIONS][0]} if REGIONS in found else {}
    return SectionEntry(key, patient, {**files, **shared}, annotations)


def _check_presence(found: _Found, folder: Path, faults: Faults) -> None:
    names = sorted(path.name for several in found.values() for path in several)
    if SPOTS not in found:
        faults.add(
            "a section has no spot file",
            MissingArtifactError,
            file=folder,
            found=names,
            expected="a table with the columns x, y, pixel_x, pixel_y",
        )
    if not set(found) & {COUNTS, IMAGE, PACKED_IMAGE}:
        faults.add("a section has neither counts nor an image", MissingArtifactError, file=folder, found=names)
    if PACKED_IMAGE in found and IMAGE not in found:
        faults.add(
            "an image is packed",
            ImageError,
            file=found[PACKED_IMAGE][0],
            expected="an image that can be opened where it lies",
            hint=f"gunzip --keep {found[PACKED_IMAGE][0].name}",
        )
    for kind, several in sorted(found.items()):
        if len(several) > 1 and kind != PACKED_IMAGE:
            faults.add(
                "a section has two files of one kind",
                file=several[0],
                field=kind,
                found=[path.name for path in several],
                expected=f"one file of {kind}",
                hint="move the others out of the folder",
            )
