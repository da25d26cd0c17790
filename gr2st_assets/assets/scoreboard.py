"""Group ``evaluation``, second part: the scoreboard over all folds.

Belongs here: averaging the section scores of complete fold sets. Does not belong here: any score (``evaluation``),
differences between methods (``comparisons``).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import WEEKLY, asset_arguments
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.readers import shown_next
from gr2st_assets.resources import LakeResource
from gr2st_assets.sections import read_folds
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec

if TYPE_CHECKING:
    import pandas as pd

SCOREBOARD = "evaluation/scoreboard"
CHECKS = ("scored_once",)
_ARGUMENTS = asset_arguments(
    SCOREBOARD, code=("gr2st_core.evaluation",), checks=CHECKS, kinds={"python"}, pool=None,
    doc="Every method, null and diagnostic per cohort, split unit, panel, target and seed: "
    "means over genes, sections, patients.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    freshness_policy=WEEKLY,
    deps=[
        dg.AssetDep(dg.AssetKey(["evaluation", "section_scores"]), partition_mapping=ALL_SECTIONS),
        dg.AssetKey(["folds", "fold_table"]),
    ],
)
def scoreboard(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Make the scoreboard from the section scores of the fold sets that are complete and of one generation."""
    store = lake.open()
    folds = read_folds(store)
    slots = shown_next(store, "evaluation/section_scores")
    inputs = {str(slot): digest for slot, digest in slots.items()}
    inputs["fold_table"] = store.require_head(store.slot("folds/fold_table")).digest

    def plan() -> Plan:
        return Plan(store.slot(SCOREBOARD), inputs, compute)

    def compute() -> Product:
        import pandas as pd

        from gr2st_core.evaluation.scoreboard import scoreboard as average

        if not slots:  # a single fold was run: its rows are kept, and averaged when the others are there
            return Product(arrow_schema(table_spec(SCOREBOARD)).empty_table(), findings=[domain.no_set_is_complete()])
        scores = pd.concat([store.read_table(slot, digest=digest).to_pandas() for slot, digest in slots.items()])
        board = average(scores)
        return Product(
            board,
            {"n_rows": len(board)},
            _picture(board),
            [domain.scored_once(scores, list(folds.values()))],
        )

    recipe = Recipe(table_spec(SCOREBOARD), _ARGUMENTS["code_version"], "", ("contract", *CHECKS))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _picture(board: "pd.DataFrame") -> bytes:
    """Bars of the first cohort's patient unit (section unit if there is none) under the first target."""
    unit = "patient" if (board.split_unit == "patient").any() else board.split_unit.iloc[0]
    part = board[(board.split_unit == unit) & (board.training_patients == "all")]
    first = part.iloc[0]
    for column in ("cohort", "panel", "target", "seed"):
        part = part[part[column] == first[column]]
    named = part.assign(name=part.method + "_" + part.profile)
    return pictures.scoreboard_bars(named, f"{first.cohort}, {unit} held out, {first.target}")
