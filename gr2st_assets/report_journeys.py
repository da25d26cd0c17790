"""What ``gr2st report`` does.

Belongs here: from the report that readers are shown to a file of the person's own. Does not belong here: making it
(``assets.report``), arguments (``cli``).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upath import UPath

from gr2st_assets import manifest
from gr2st_assets.assets.report import NAME
from gr2st_assets.lake import Lake
from gr2st_assets.project import lake_root
from gr2st_assets.publish import write_atomic
from gr2st_core.errors import MissingArtifactError, SettingsError

Say = Callable[[str], None]


def write_reports(cohort: str, out: Path | None, say: Say) -> int:
    """Copy the report of one cohort, or of all, out of the lake and write each path to standard output.

    Raises
    ------
    MissingArtifactError
        Readers are shown no report, or none of this cohort.
    SettingsError
        One file for several reports.
    DataError
        The report in the lake is damaged.
    """
    lake = Lake(lake_root())
    slot, shown = lake.slot(NAME), manifest.current(lake)
    entry = shown.entries.get(slot) if shown else None
    if shown is None or entry is None:
        raise MissingArtifactError("there is no report yet", hint="gr2st materialize")
    rows = lake.read_table(slot, digest=entry.digest).to_pylist()
    chosen = [row for row in rows if cohort in ("", row["cohort"])]
    if not chosen:
        hint = "a cohort is reported once all its folds are complete"
        known = [row["cohort"] for row in rows]
        raise MissingArtifactError("no report of this cohort", cohort=cohort, found=known, hint=hint)
    if out is not None and len(chosen) > 1:
        raise SettingsError("one file holds one report", field="--out", found=[row["cohort"] for row in chosen])
    with lake.local_copy(slot, entry.digest) as folder:
        for row in chosen:
            _copy(folder, row, out or Path(row["file"]), shown.number, say)
    return 0


def _copy(folder: Path, row: dict[str, Any], out: Path, generation: int, say: Say) -> None:
    write_atomic(UPath(out.absolute()), (folder / row["file"]).read_bytes())
    say(f"{row['cohort']}: generation {generation}, state {row['state_digest'][:12]}, SHA-256 {row['sha256']}")
    sys.stdout.write(f"{out.absolute()}\n")
