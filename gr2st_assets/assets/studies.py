"""Group ``evaluation``, on demand: ablation and sensitivity of GR2ST, per fold and over all folds.

Belongs here: both studies as assets. Does not belong here: which changes there are and their averages
(``gr2st_core.studies``), trainings (``gr2st_assets.studies``).

They train GR2ST anew for most rows, so no stage of ``gr2st materialize`` has them: ``gr2st study`` and the UI do.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.checks import domain
from gr2st_assets.kinds import asset_arguments, fold_asset
from gr2st_assets.models import method_code
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.readers import shown_next
from gr2st_assets.resources import LakeResource
from gr2st_assets.selection import STUDIES, STUDY_SUMMARY
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.studies import BASE, SECTION_TABLES, FoldStudy, studies_digest
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_assets.work import FoldWork

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from gr2st_core.studies.changes import Study

DESCRIPTIONS = {
    "ablation": "GR2ST without each of its parts in turn, trained anew and scored on the held-out sections.",
    "sensitivity": "GR2ST with one setting changed at a time, trained anew where the setting acts in training.",
}


def study_asset(study: "Study") -> dg.AssetsDefinition:
    """Make the fold asset of a study."""

    def rows_of_study(work: FoldWork) -> Product:
        import pandas as pd

        if not work.fold.test:
            return Product(arrow_schema(table_spec(STUDIES[study])).empty_table())
        opened = FoldStudy.open(work)
        changes, rows = opened.changes(study), []
        for number, change in enumerate(changes, start=1):
            label = f"{number}/{len(changes)} {change.parameter} {change.setting}"
            rows += opened.rows(change, label)
            work.progress(study, number, len(changes))
        table = pd.DataFrame(rows)
        expected = [key.section_id for key in work.fold.test]
        return Product(
            table,
            {"n_changes": len(changes), "pearson_base": float(table.pearson_base[table.is_base].mean())},
            findings=[domain.study_complete(table, expected, len(changes)), domain.changes_matter(table)],
        )

    rows_of_study.__doc__ = DESCRIPTIONS[study]
    return fold_asset(
        STUDIES[study],
        section_tables=SECTION_TABLES,
        roles=("train", "test"),
        fold_tables=("expression/panel", f"models/model_{BASE.name}"),
        code=(*method_code(BASE), "gr2st_core.studies", "gr2st_assets.studies"),
        checks=("study_complete", "changes_matter"),
        settings_hash=studies_digest,
        kinds=frozenset({"torch"}),
        pool="gpu",
    )(rows_of_study)


FOLD_STUDIES = [study_asset(cast("Study", name)) for name in STUDIES]
_ARGUMENTS = asset_arguments(
    STUDY_SUMMARY,
    code=("gr2st_core.studies", "gr2st_core.evaluation.averages"), checks=(), kinds={"python"}, pool=None,
    doc="What each part of GR2ST is worth and how much each setting matters: means over sections, and differences "
    "from the base.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=ALL_SECTIONS) for table in STUDIES.values()],
)
def studies(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Average the studies of the fold sets that are complete and of one generation."""
    store = lake.open()
    slots = shown_next(store, *STUDIES.values())
    inputs = {str(slot): digest for slot, digest in slots.items()}

    def plan() -> Plan:
        return Plan(store.slot(STUDY_SUMMARY), inputs, compute)

    def compute() -> Product:
        import pandas as pd

        from gr2st_core.studies.averages import average_studies

        tables = [store.read_table(slot, digest=digest).to_pandas() for slot, digest in slots.items()]
        rows = pd.concat([table for table in tables if len(table)]) if any(map(len, tables)) else None
        if rows is None:  # a single fold was run: its rows are kept, and averaged when the others are there
            return Product(arrow_schema(table_spec(STUDY_SUMMARY)).empty_table())
        table = average_studies(rows)
        return Product(table, {"n_rows": len(table)}, write_files=lambda folder: _draw(rows, folder))

    recipe = Recipe(table_spec(STUDY_SUMMARY), _ARGUMENTS["code_version"], "", ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _draw(rows: "pd.DataFrame", folder: "Path") -> None:
    """One picture a study, of the first cohort's patient unit (section unit if there is none)."""
    from gr2st_core.studies.averages import with_differences

    draw = {"ablation": pictures.ablation_bars, "sensitivity": pictures.sensitivity_curves}
    for study, own in with_differences(rows).groupby("study"):
        unit = "patient" if (own.split_unit == "patient").any() else own.split_unit.iloc[0]
        part = own[own.split_unit == unit]
        first = part.iloc[0]
        for column in ("cohort", "panel", "target", "seed"):
            part = part[part[column] == first[column]]
        title = f"{first.cohort}, {unit} held out, {first.panel}, {first.target}"
        (folder / f"{study}.png").write_bytes(draw[study](part, title))
