"""How a cohort gets into the lake: inspected, registered, made known to Dagster.

Belongs here: the one way in, for the command and for the inbox alike. Does not belong here: inspection itself, runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from filelock import FileLock, Timeout

from gr2st_assets import register
from gr2st_assets.inspection import Inspection, inspect, without_doubles
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import SECTIONS, set_keys
from gr2st_assets.project import home
from gr2st_assets.publish import crash_point
from gr2st_assets.register import RegisteredCohort
from gr2st_core.errors import DataError, SchemaError

if TYPE_CHECKING:
    from gr2st_core.settings import Settings

REGISTRATION = dg.AssetKey(["raw", "registration"])
CRASH_POINTS = ("ingest.registered", "ingest.offered", "ingest.told")
"""After the register is written, after the partitions are there, after Dagster was told of a section."""


def take_in(
    lake: Lake,
    instance: dg.DagsterInstance,
    name: str,
    folder: Path,
    settings: "Settings",
    progress: Callable[[str, int, int], None],
    *,
    is_from_inbox: bool = False,
    distrusted: Mapping[Path, DataError] | None = None,
    waits: bool = False,
) -> Inspection:
    """Inspect a folder, register its good sections, and tell Dagster which of them are new or changed.

    Where only the folder as a whole has faults, e.g. in its patient table, the sections registered before stay. What
    came from the inbox stays of the inbox if it is taken in again from the same folder.

    Dagster is told at least once: what an interrupted call registered and did not tell, the next one tells.

    Parameters
    ----------
    distrusted
        Files that cost the sections they belong to, and why.
    waits
        Whether to wait while the cohort is being taken in already.

    Raises
    ------
    DataError
        No reader knows the folder, or the cohort is being taken in already and ``waits`` is false.
    """
    lock = home() / f".ingest-{name}.lock"
    try:
        with FileLock(lock, timeout=-1 if waits else 0):
            found = inspect(lake, name, folder, settings, progress, distrusted or {})
            with register_lock():
                return _registered(lake, instance, without_doubles(lake, found), is_from_inbox)
    except Timeout as error:
        raise SchemaError(
            "the cohort is being taken in already", file=lock, found=name, hint="wait until that has ended"
        ) from error


def register_lock() -> FileLock:
    """Give the lock of whoever changes the register, or partitions by it; a thread may take it more than once."""
    return FileLock(home() / ".register.lock", is_singleton=True)


def _registered(lake: Lake, instance: dg.DagsterInstance, found: Inspection, is_from_inbox: bool) -> Inspection:
    from gr2st_core.cohorts.synthetic import is_synthetic

    cohort = found.cohort
    is_of_folder = bool(found.faults) and not any("section" in fault.context for fault in found.faults)
    if is_of_folder and not cohort.entries and cohort.name in register.names(lake):
        register.note_faults(lake, cohort.name, found.faults)
        return found
    flags = register.known_flags(lake, cohort.name, cohort.folder)
    flags["is_from_inbox"] |= is_from_inbox
    flags["is_synthetic"] |= is_synthetic(cohort.folder)
    told = register.told_contents(lake, cohort.name)
    register.save(lake, replace(cohort, **flags), found.faults)
    crash_point("ingest.registered")
    register_sections(lake, instance)
    crash_point("ingest.offered")
    _tell(instance, cohort, told)
    register.mark_told(lake, cohort.name)
    return found


def _tell(instance: dg.DagsterInstance, cohort: RegisteredCohort, told: Mapping[str, Mapping[str, str]]) -> None:
    """Report every section whose contents Dagster was not told."""
    for key, contents in cohort.contents.items():
        if told.get(key) != contents:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(REGISTRATION, partition=key, metadata={"cohort": cohort.name, **contents})
            )
            crash_point("ingest.told")


def register_sections(lake: Lake, instance: dg.DagsterInstance) -> None:
    """Make the section partitions equal to the register's, so that the UI offers what is there."""
    with register_lock():
        keys = [str(key) for name in register.names(lake) for key in register.section_keys(lake, name)]
        set_keys(instance, SECTIONS, keys)
