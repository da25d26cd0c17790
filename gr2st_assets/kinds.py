"""The two kinds of partitioned asset: one table a section, one table a fold.

Belongs here: the decorators that make a compute function a Dagster asset with description, owner, checks, code
version, column schema and backfill policy. Does not belong here: any compute function (``assets``), the loop over
partitions (``steps``).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_shared.utils.warnings import BetaWarning

from gr2st_assets.features import SECTION_CONDITION
from gr2st_assets.fingerprint import code_version
from gr2st_assets.ingest import REGISTRATION
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS, FOLDS, SECTIONS
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import dagster_schema, table_spec
from gr2st_assets.work import FoldWork, Progress, SectionWork, open_folds
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.settings import Settings

# backfill policies are beta; Dagster's version is pinned exactly, so they cannot change underneath
warnings.filterwarnings("ignore", category=BetaWarning)

OWNERS = ["team:gr2st"]
WEEKLY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=15), warn_window=timedelta(days=8))
"""Of what the weekly retraining makes: late after one that was missed, failed after two."""
SettingsHash = Callable[["Settings"], str]
ProgressOf = Callable[[str], Progress]


@dataclass(frozen=True)
class Blueprint:
    """How a partitioned asset is planned, by Dagster or without it.

    Attributes
    ----------
    partitions
        Name of its partitions definition.
    open_plans
        From lake, experiment, settings and progress to what plans one partition.
    """

    name: str
    partitions: str
    code_version: str
    checks: Sequence[str]
    settings_hash: SettingsHash | None
    open_plans: Callable[[Lake, Experiment, "Settings", ProgressOf], Callable[[str], Plan]]

    def recipe(self, settings: "Settings") -> Recipe:
        """What is the same for all partitions under these settings."""
        digest = self.settings_hash(settings) if self.settings_hash else ""
        return Recipe(table_spec(self.name), self.code_version, digest, ("contract", *self.checks))


BLUEPRINTS: dict[str, Blueprint] = {}
"""Every partitioned asset of the project by name, in the order of definition."""


def asset_arguments(
    name: str,
    *,
    code: Sequence[str],
    checks: Sequence[str],
    kinds: set[str],
    pool: str | None,
    doc: str | None,
    group: str = "",
) -> dict[str, Any]:
    """Arguments of ``dagster.asset`` that every asset of the project has; by default it is in its table's group."""
    spec = table_spec(name)
    key = dg.AssetKey(name.split("/"))
    return {
        "key": key,
        "group_name": group or key.path[0],
        "description": doc,
        "owners": OWNERS,
        "kinds": {"parquet", *kinds},
        "code_version": code_version(*code),
        "pool": pool,
        "output_required": False,
        "check_specs": [dg.AssetCheckSpec(check, asset=key, blocking=True) for check in ("contract", *checks)],
        "metadata": {"dagster/column_schema": dagster_schema(spec)},
    }


def below_all(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetDep]:
    """Dependencies that put an asset below all of the given ones.

    Of those with partitions the last alone, since others stand above them. One without is named itself: what stands
    between may be of another job, and in a run of its own job nothing else would put it first.
    """
    read = {dep.asset_key for asset in assets for spec in asset.specs for dep in spec.deps}
    last = [asset for asset in assets if asset.partitions_def is None or asset.key not in read]
    return [dg.AssetDep(a.key, partition_mapping=ALL_SECTIONS if a.partitions_def else None) for a in last]


def report_progress(context: dg.AssetExecutionContext, partition: str) -> Callable[[str, int, int], None]:
    """Log every tenth of the way."""
    last = -1

    def report(label: str, done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        if tenth != last or done == total:
            last = tenth
            context.log.info(f"{context.asset_key.to_user_string()} {partition}: {label} {done}/{total}")

    return report


def section_asset(
    name: str,
    *,
    deps: Sequence[str] = (),
    code: Sequence[str],
    checks: Sequence[str] = (),
    settings_hash: SettingsHash | None = None,
    files: Callable[[SectionWork], Mapping[str, str]] | None = None,
    kinds: frozenset[str] = frozenset(),
    pool: str | None = None,
) -> Callable[[Callable[[SectionWork], Product]], dg.AssetsDefinition]:
    """Make a compute function an asset with one table a section.

    Parameters
    ----------
    name
        ``group/asset``, a table of ``tables``.
    deps
        Section tables that the function reads.
    code
        Modules whose source decides the result.
    checks
        Names of domain checks among the findings.
    settings_hash
        Digest of the settings that matter, None if none does.
    files
        Digests of files outside the lake that the function reads.
    kinds, pool
        Shown in the UI; limits how many run at once.
    """

    def decorate(compute: Callable[[SectionWork], Product]) -> dg.AssetsDefinition:
        def open_plans(
            store: Lake, experiment: Experiment, settings: "Settings", progress: ProgressOf
        ) -> Callable[[str], Plan]:
            def plan(key: str) -> Plan:
                work = SectionWork(SectionKey.parse(key), store, experiment, settings, progress(key))
                inputs = {**work.inputs(deps), **(files(work) if files else {})}
                return Plan(section_slot(store, name, work.key), inputs, lambda: compute(work))

            return plan

        arguments = asset_arguments(name, code=code, checks=checks, kinds=set(kinds), pool=pool, doc=compute.__doc__)
        blueprint = Blueprint(name, SECTIONS.name, arguments["code_version"], checks, settings_hash, open_plans)
        outside = [REGISTRATION] if files else []
        upstream = [*outside, *(dg.AssetKey(dep.split("/")) for dep in deps)]
        return partitioned_asset(
            blueprint, {**arguments, "automation_condition": SECTION_CONDITION}, SECTIONS, upstream
        )

    return decorate


def fold_asset(
    name: str,
    *,
    section_tables: Sequence[str] = (),
    roles: Sequence[str] = ("train",),
    fold_tables: Sequence[str] = (),
    optional_fold_tables: Sequence[str] = (),
    after: Sequence[str] = (),
    code: Sequence[str],
    checks: Sequence[str] = (),
    settings_hash: SettingsHash | None = None,
    files: Callable[[FoldWork], Mapping[str, str]] | None = None,
    kinds: frozenset[str] = frozenset(),
    pool: str | None = None,
    group: str = "",
) -> Callable[[Callable[[FoldWork], Product]], dg.AssetsDefinition]:
    """Make a compute function an asset with one table a fold.

    Parameters
    ----------
    section_tables, roles
        Section tables that the function reads, and of which of the fold's sections. The inputs of an asset that reads
        only ``train`` do not change with a test section.
    fold_tables, optional_fold_tables
        Fold tables of the same fold; the optional ones are read where they exist.
    after
        Fold tables that come first where a run makes both, and that are not read; as with those that are, one that
        fails stops this one in that run.
    group
        Of the asset in the UI, if not its table's.
    name, code, checks, settings_hash, files, kinds, pool
        As in ``section_asset``.
    """
    upstream = [*fold_tables, *optional_fold_tables]

    def decorate(compute: Callable[[FoldWork], Product]) -> dg.AssetsDefinition:
        def open_plans(
            store: Lake, experiment: Experiment, settings: "Settings", progress: ProgressOf
        ) -> Callable[[str], Plan]:
            works = open_folds(store, experiment, settings, progress)
            marks = arguments["code_version"] + (settings_hash(settings) if settings_hash else "")

            def plan(key: str) -> Plan:
                work = works(key)
                slots = {table: work.slot(table) for table in upstream}
                present = [t for t in upstream if t in fold_tables or store.head(slots[t]) is not None]
                outside = dict(files(work)) if files else {}
                inputs = {
                    **work.membership(roles),
                    **work.section_inputs(section_tables, roles),
                    **{table: store.require_head(slots[table]).digest for table in present},
                    **outside,
                }
                generation = work.generation(name, marks, section_tables, roles, present, outside)
                return Plan(work.slot(name), inputs, lambda: compute(work), generation)

            return plan

        arguments = asset_arguments(
            name, code=code, checks=checks, kinds=set(kinds), pool=pool, doc=compute.__doc__, group=group
        )
        blueprint = Blueprint(name, FOLDS.name, arguments["code_version"], checks, settings_hash, open_plans)
        deps = [
            dg.AssetKey(["folds", "fold_table"]),
            *(dg.AssetDep(dg.AssetKey(t.split("/")), partition_mapping=ALL_SECTIONS) for t in section_tables),
            *(dg.AssetKey(t.split("/")) for t in (*upstream, *after)),
        ]
        return partitioned_asset(blueprint, arguments, FOLDS, deps)

    return decorate


def partitioned_asset(
    blueprint: Blueprint, arguments: dict[str, Any], partitions: dg.PartitionsDefinition, deps: Sequence[Any]
) -> dg.AssetsDefinition:
    """Make a blueprint an asset, and known under its name."""
    BLUEPRINTS[blueprint.name] = blueprint

    @dg.asset(**arguments, deps=deps, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def table(context: dg.AssetExecutionContext, lake: LakeResource, experiment: Experiment) -> Iterator[Any]:
        store, settings = lake.open(), experiment.settings()
        plan = blueprint.open_plans(store, experiment, settings, partial(report_progress, context))
        plans = ((key, partial(plan, key)) for key in context.partition_keys)
        yield from run_step(context, store, blueprint.recipe(settings), plans)

    return table
