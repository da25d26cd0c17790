"""Whether everything is in order on this machine.

Belongs here: looking, saying what was found and what to do, and the repairs that are always safe (leftovers of killed
writers, pool slots of runs that ended, heads of damaged artefacts). Does not belong here: changing what was published.
"""

import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from gr2st_assets import champions, manifest, register
from gr2st_assets.dead_runs import end_dead_runs
from gr2st_assets.lake import Lake
from gr2st_assets.project import dagster_home, lake_root, open_instance
from gr2st_assets.publish import is_local
from gr2st_assets.readers import catalog_path

PACKAGES = (
    "dagster",
    "duckdb",
    "torch",
    "torchvision",
    "timm",
    "openvino",
    "torch-geometric",
    "scanpy",
    "great-expectations",
)
LEFTOVER_AGE_S = 24 * 3600


def examine(say: Callable[[str], None], *, deep: bool) -> int:
    """Print the state of the project; 1 if something is damaged.

    Parameters
    ----------
    deep
        Read every published file again and compare its SHA-256.
    """
    lake = Lake(lake_root())
    for line in (*_machine(), *_lake(lake), *_instance()):
        say(line)
    serving = champions.champions(champions.history(lake)).values()
    faults = [*lake.verify(deep=deep), *(f for event in serving for f in champions.faults(lake, event, deep=False))]
    for fault in faults:
        say(f"DAMAGED {fault.file}: {fault.problem}; expected {fault.expected}, found {fault.found}")
    how = "every checksum" if deep else "sizes only; --verify reads every file and lets what is damaged be made anew"
    say(f"published files: {len(faults)} damaged ({how})")
    if deep and faults:
        say(f"no longer current, so that materializing makes them anew: {', '.join(lake.discard_damaged()) or 'none'}")
    return int(bool(faults))


def _machine() -> Iterator[str]:
    from gr2st_core.images.networks import pick_device

    yield f"python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    yield f"device: {pick_device()}"


def _lake(lake: Lake) -> Iterator[str]:
    yield f"lake: {lake.root}"
    yield f"cohorts: {', '.join(register.names(lake)) or 'none; gr2st cohort add NAME FOLDER, or gr2st demo'}"
    shown = manifest.current(lake)
    yield (
        f"readers see generation {shown.number} of {len(manifest.history(lake))}" if shown else "nothing published yet"
    )
    for cohort, event in champions.champions(champions.history(lake)).items():
        yield f"champion of {cohort}: {event.contender.name}, by promotion {event.number}"
    path = catalog_path(lake)
    yield f"catalogue: {path}" + ("" if path.exists() else " (not built yet)")
    if is_local(lake.root) and Path(lake.root.path).exists():
        yield f"disk: {shutil.disk_usage(lake.root.path).free / 2**30:.1f} GiB free"
    swept = lake.sweep(LEFTOVER_AGE_S)
    yield f"leftovers of killed writers, over a day old: {len(swept)} removed"


def _instance() -> Iterator[str]:
    yield f"Dagster instance: {dagster_home()}"
    done = end_dead_runs(open_instance())
    yield f"runs whose process is gone, slots of runs that ended: {'; '.join(done) or 'none'}"
