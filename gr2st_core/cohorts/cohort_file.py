"""Facts about a cohort that its files do not hold: the optional ``cohort.yml`` in its folder.

Belongs here: reading and validating that file. Does not belong here: what a layout assumes without it (the readers);
which section belongs to which patient (``patients``).
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.files import require_inside
from gr2st_core.cohorts.plain_yaml import read_yaml
from gr2st_core.errors import DataError

COHORT_FILE = "cohort.yml"

_MAX_BYTES = 2**12  # time to parse nested text grows with its square


class CohortFile(BaseModel):
    """What ``cohort.yml`` says; None where it says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pitch_um: float | None = Field(None, gt=0, le=10_000, description="distance of neighbouring spot centres")
    um_per_px: float | None = Field(None, gt=0, le=1_000, description="scale of the images")
    bin_um: int | None = Field(None, gt=0, le=1_000, description="side of the bins to read where there are several")


def read_cohort_file(folder: Path, faults: Faults) -> CohortFile:
    """Read ``folder/cohort.yml``; without one, or with a fault in it, every field is None.

    Parameters
    ----------
    faults
        Gets one fault for each unknown key and each value that cannot be.
    """
    path = folder / COHORT_FILE
    if not os.path.lexists(path):
        return CohortFile()
    try:
        size = require_inside(path, folder).stat().st_size
    except DataError as error:
        faults.found.append(error)
        return CohortFile()
    if size > _MAX_BYTES:
        faults.add("a cohort file is too large", file=path, found=f"{size} bytes", expected=f"at most {_MAX_BYTES}")
        return CohortFile()
    try:
        values = read_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        faults.add("a cohort file is not YAML text", file=path, found=str(error)[:200], expected="YAML in UTF-8")
        return CohortFile()
    return _validated({} if values is None else values, path, faults)


def _validated(values: object, path: Path, faults: Faults) -> CohortFile:
    try:
        return CohortFile.model_validate(values)
    except ValidationError as error:
        for fault in error.errors():
            faults.add(
                "a cohort file has a wrong entry",
                file=path,
                field=".".join(map(str, fault["loc"])) or None,
                found=repr(fault["input"])[:100],
                expected=fault["msg"],
                hint=f"known keys: {', '.join(CohortFile.model_fields)}",
            )
        return CohortFile()
