"""The table of metadata of a section of Wu et al. 2021: a row per barcode with patient and label.

Belongs here: parsing it. Does not belong here: the layout (``wu2021``).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gr2st_core.cohorts.faults import Faults
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey

PATIENT, LABEL = "patientid", "Classification"
_MAX_BYTES = 2**26
_MISSING = {"", "NA"}  # R writes a missing value as NA


def read_patient(path: Path, faults: Faults) -> str | None:
    """Give the only patient that the metadata name; None where they name none, or there is a fault."""
    table = _read(path, faults)
    found: list[str] = [] if table is None else sorted(set(table[PATIENT].tolist()) - _MISSING)
    if len(found) > 1:
        faults.add("a section has two patients", file=path, field=PATIENT, found=found[:10], expected="one patient")
    if len(found) != 1:
        return None
    try:
        SectionKey("any", found[0])
    except DataError as error:
        faults.add("a patient id is unusable", file=path, field=PATIENT, found=found, expected=error.message)
    return found[0]


def read_labels(path: Path, faults: Faults) -> dict[str, str] | None:
    """Give the label of each barcode that has one; None, and a fault noted, if the table cannot be read."""
    table = _read(path, faults)
    if table is None:
        return None
    pairs = zip(table.index.tolist(), table[LABEL].tolist(), strict=True)
    return {barcode: label for barcode, label in pairs if label not in _MISSING}


def _read(path: Path, faults: Faults) -> pd.DataFrame | None:
    """Patient and label by barcode, the file's first column; None, and a fault noted, if that cannot be read."""
    if (size := path.stat().st_size) > _MAX_BYTES:
        faults.add("a table is too large", file=path, found=f"{size} bytes", expected=f"at most {_MAX_BYTES} bytes")
        return None
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=0)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        faults.add("a table of metadata cannot be read", file=path, found=str(error), expected="CSV with a header")
        return None
    if missing := [name for name in (PATIENT, LABEL) if name not in table]:
        faults.add("the columns of a table are not the expected ones", file=path, field=missing, found=list(table)[:20])
        return None
    if not table.index.is_unique:
        doubled = sorted(set(table.index[table.index.duplicated()]))
        faults.add("a spot is listed twice", file=path, field="barcode", found=doubled[:10], expected="unique barcodes")
        return None
    return table
