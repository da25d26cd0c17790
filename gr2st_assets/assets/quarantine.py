"""Group ``raw``, last part: sections that were refused.

Belongs here: faults of cohort folders as a table beside the sections that got in. Does not belong here: finding them
(``inspection``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gr2st_assets import register
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import table_spec

NAME = "raw/quarantine"
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.cohorts", "gr2st_core.containers"), checks=(), kinds={"python"}, pool=None,
    doc="Every fault of every registered cohort's folder; a section in it waits until its files change.",
)  # fmt: skip


@dg.asset(**_ARGUMENTS)
def quarantine(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Publish what the register says was refused."""
    import json

    import pandas as pd

    store = lake.open()
    faults = {name: register.faults(store, name) for name in register.names(store)}

    def plan() -> Plan:
        return Plan(store.slot(NAME), {"faults": json.dumps(faults, sort_keys=True)}, compute)

    def compute() -> Product:
        rows = [
            {**fault, "cohort": name, "fault": number, "section": _section_id(fault["section"])}
            for name, found in faults.items()
            for number, fault in enumerate(found)
        ]
        table = pd.DataFrame(rows, columns=table_spec(NAME).column_names)
        n_sections = table.section.nunique()
        return Product(table, {"n_faults": len(table), "n_sections": int(n_sections)})

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _section_id(key: str | None) -> str | None:
    return key.partition("/")[2] if key else None
