"""Patients of sections whose files name them in free text.

Belongs here: the patient table first, else the one name that a section's files give, as an id. Does not belong here:
where files give a name (the readers); layouts whose section names hold the patient (``patients``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.patients import refuse_patient
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey


class PatientIds:
    """Turns names into ids and remembers which name an id stands for, over the sections of one cohort.

    Parameters
    ----------
    table
        Patient of each section that ``patients.tsv`` lists; it always wins.
    """

    def __init__(self, folder: Path, table: Mapping[str, str]) -> None:
        self._folder = folder
        self._table = table
        self._name_of: dict[str, str] = {}

    def of(self, section: str, names: Sequence[str], faults: Faults, *, source: str) -> str | None:
        """Give the patient of a section, or None and a fault: a patient is never guessed.

        Parameters
        ----------
        names
            Distinct names that the section's files give.
        source
            Where they stand, for the message.
        """
        if section in self._table:
            return self._table[section]
        if len(names) != 1:
            self._refuse(section, faults, list(names[:10]) or None, source, f"one patient in {source}")
            return None
        patient = re.sub(r"[^A-Za-z0-9_-]+", "_", names[0].strip())
        try:
            SectionKey("any", patient)
        except DataError as error:
            self._refuse(section, faults, repr(names[0]), source, error.message)
            return None
        if self._name_of.setdefault(patient, names[0]) != names[0]:
            self._refuse(section, faults, [self._name_of[patient], names[0]], source, f"one name for the id {patient}")
            return None
        return patient

    def _refuse(self, section: str, faults: Faults, found: object, source: str, expected: str) -> None:
        refuse_patient(section, self._folder, faults, found=found, source=source, expected=expected)
