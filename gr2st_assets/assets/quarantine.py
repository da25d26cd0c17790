"""Group ``raw``, last part: sections that were refused.

Belongs here: faults of cohort folders as a table beside the sections that got in, made by a run or without one. Does
not belong here: finding them (``inspection``).
"""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg

from gr2st_assets import register
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.readers import publish_catalog
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, publish_plan, run_step
from gr2st_assets.tables import table_spec

NAME = "raw/quarantine"
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.cohorts", "gr2st_core.containers"), checks=(), kinds={"python"}, pool=None,
    doc="Every fault of every registered cohort's folder; a section in it waits until its files change.",
)  # fmt: skip


@dg.asset(**_ARGUMENTS)
def quarantine(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Publish what the register says was refused."""
    store = lake.open()
    yield from run_step(context, store, _recipe(), iter([(None, lambda: _plan(store))]))


def show_refused(lake: Lake, instance: dg.DagsterInstance) -> None:
    """Publish it and the catalogue without a run, unless readers of the catalogue see it already."""
    plan = _plan(lake)
    if lake.head(plan.slot) is None and not any(register.faults(lake, name) for name in register.names(lake)):
        return
    outcome = publish_plan(lake, _recipe(), None, plan, run_id="")
    if not outcome.reused:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(_ARGUMENTS["key"], metadata=outcome.head.provenance.metadata)
        )
        publish_catalog(lake)


def _plan(lake: Lake) -> Plan:
    faults = {name: register.faults(lake, name) for name in register.names(lake)}

    def compute() -> Product:
        import pandas as pd

        rows = [
            {**fault, "cohort": name, "fault": number, "section": _section_id(fault["section"])}
            for name, found in faults.items()
            for number, fault in enumerate(found)
        ]
        table = pd.DataFrame(rows, columns=table_spec(NAME).column_names)
        n_sections = table.section.nunique()
        return Product(table, {"n_faults": len(table), "n_sections": int(n_sections)})

    return Plan(lake.slot(NAME), {"faults": json.dumps(faults, sort_keys=True)}, compute)


def _recipe() -> Recipe:
    return Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))


def _section_id(key: str | None) -> str | None:
    return key.partition("/")[2] if key else None
