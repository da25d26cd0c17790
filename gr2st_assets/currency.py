"""Which partitions need a run at all.

Belongs here: comparing what stands in the lake with what its inputs ask for, without Dagster. Does not belong here:
the comparison itself (``steps.is_current``), running (``runs``).

A run costs seconds before its first step; asking first keeps a second materialization of everything short.
"""

from collections.abc import Callable, Collection

from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.lake import Lake
from gr2st_assets.resources import Experiment
from gr2st_assets.steps import Plan, Recipe, is_current
from gr2st_assets.work import Progress
from gr2st_core.errors import Gr2stError


def stale_keys(lake: Lake, names: Collection[str], keys: Collection[str], experiment: Experiment) -> set[str]:
    """Partitions of which any of the named assets is not current, or cannot be planned (the run says why)."""
    settings = experiment.settings()
    stale: set[str] = set()
    for name in names:
        recipe = BLUEPRINTS[name].recipe(settings)
        plan = BLUEPRINTS[name].open_plans(lake, experiment, settings, _quiet)
        stale |= {key for key in keys if key not in stale and not _is_current(lake, recipe, plan, key)}
    return stale


def _is_current(lake: Lake, recipe: Recipe, plan: Callable[[str], Plan], key: str) -> bool:
    try:
        return is_current(lake, recipe, plan(key))
    except Gr2stError:
        return False


def _quiet(_: str) -> Progress:
    return lambda *_: None
