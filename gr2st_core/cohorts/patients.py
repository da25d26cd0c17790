"""Who a section comes from.

Belongs here: the optional patient table, and the rules by which the names of published sections tell without it. Does
not belong here: folds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.text_table import read_rows
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey

PATIENTS_FILE = "patients.tsv"
COLUMNS = ("section_id", "patient_id")

HER2ST_RULE = re.compile(r"[A-Z](?=[0-9]+\Z)")
"""``B`` for ``B4``."""

LEGACY_RULE = re.compile(r"P[0-9]+(?=_ST_rep[0-9]+\Z)|B[CT][0-9]+(?=_[A-Z][0-9]+\Z)")
"""``P2`` for ``P2_ST_rep1`` (GSE144240), ``BC23209`` for ``BC23209_C1`` (He et al. 2020)."""


def read_patients(folder: Path, faults: Faults) -> dict[str, str]:
    """Read the patient of each section that ``patients.tsv`` names; empty where there is no such file."""
    path = folder / PATIENTS_FILE
    patients: dict[str, str] = {}
    if not os.path.lexists(path):
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


def refuse_patient(
    section: str, folder: Path, faults: Faults, *, expected: str, found: object = None, source: str | None = None
) -> None:
    """Note that nobody can say whose a section is; ``source`` is where it was looked for."""
    faults.add(
        "a section has no patient",
        file=folder / PATIENTS_FILE,
        field="patient_id",
        found=found,
        source=source,
        expected=expected,
        hint=f"add the row: {section}<tab><patient>",
    )


def patient_of(section: str, patients: Mapping[str, str], rule: re.Pattern[str]) -> str | None:
    """Give the patient of a section: what the table says, else what ``rule`` finds in its name, else None."""
    if section in patients:
        return patients[section]
    match = rule.match(section)
    return match[0] if match else None
