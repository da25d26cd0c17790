"""Group ``evaluation``, last part: what others published.

Belongs here: the literature's scores as a table beside our own. Does not belong here: the numbers
(``gr2st_core/evaluation/published_scores.csv``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gr2st_assets.kinds import asset_arguments
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import table_spec

NAME = "evaluation/published_scores"
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.evaluation.published",), checks=(), kinds={"csv"}, pool=None,
    doc="The literature's scores, each with its target, split unit, genes, and whether test scores chose the model.",
)  # fmt: skip


@dg.asset(**_ARGUMENTS)
def published_scores(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Publish the packaged file."""
    from gr2st_core.evaluation import published

    store = lake.open()

    def plan() -> Plan:
        return Plan(store.slot(NAME), {"file": published.published_digest()}, compute)

    def compute() -> Product:
        table = published.published_scores()
        return Product(table, {"n_rows": len(table), "n_publications": table.publication.nunique()})

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))
