"""Who a section comes from, in the her2st layout.

Belongs here: the optional patient table and the rule that holds without it. Does not belong here: folds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.errors import DataError
from gr2st_core.types import SectionKey

PATIENTS_FILE = "patients.tsv"
COLUMNS = ("section_id", "patient_id")

_LETTER_AND_NUMBER = re.compile(r"([A-Z])[0-9]+")


def read_patients(folder: Path, faults: Faults) -> dict[str, str]:
    """Read the patient of each section that ``patients.tsv`` names; empty where there is no such file."""
    path = folder / PATIENTS_FILE
    patients: dict[str, str] = {}
    if not (path.exists() or path.is_symlink()):
        return patients
    try:
        require_inside(path, folder)
    except DataError as error:
        faults.found.append(error)
        return patients
    for label, (section, patient) in read_rows(path, COLUMNS, faults):
        if section in patients:
            faults.add(
                "a section has two patients", file=path, field=label, found=section, expected="one row a section"
            )
        try:
            SectionKey("any", patient)
        except DataError as error:
            faults.add("a patient id is unusable", file=path, field=label, found=repr(patient), expected=error.message)
        patients[section] = patient
    return patients


def patient_of(section: str, patients: Mapping[str, str]) -> str | None:
    """Give the patient of a section: what the table says, else the letter of its name (``B`` for ``B4``), else None."""
    if section in patients:
        return patients[section]
    match = _LETTER_AND_NUMBER.fullmatch(section)
    return match[1] if match else None
