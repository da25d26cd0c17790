"""Group ``serving``, fourth part: which sections are unlike those that a champion was trained on, and by what.

Belongs here: measures of every section against training, with thresholds, a check and a picture. Does not belong
here: distances and thresholds (``gr2st_core.drift``), scores of spots (``spot_drift``).
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets import pictures
from gr2st_assets.assets.champion import CHAMPION
from gr2st_assets.assets.evaluation import PREDICTIONS
from gr2st_assets.assets.spot_drift import NAME as SPOT_DRIFT
from gr2st_assets.checks import domain
from gr2st_assets.drift_predictions import by_fit, out_of_fold, summed_up
from gr2st_assets.drift_sections import COLOURS, GEOMETRY, NO_CHAMPION, Comparison, comparisons, depth, measured, stains
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.models import ENCODER_TABLES
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_core.errors import DataError
from gr2st_core.models.registry import METHODS

if TYPE_CHECKING:
    import pandas as pd

NAME = "serving/drift"
CHECKS = ("drift",)
READ = (*GEOMETRY, f"image/embeddings_{COLOURS}")
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.drift", "gr2st_core.models", "gr2st_assets.drift_sections",
    "gr2st_assets.drift_predictions", "gr2st_assets.sections"), checks=CHECKS, kinds={"python"}, pool=None,
    doc="Image, stain, depth and predictions of every section against a champion's training sections, with thresholds "
    "learnt by leaving these out one patient (or section) at a time.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[
        *(
            dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=ALL_SECTIONS)
            for table in dict.fromkeys((*READ, *ENCODER_TABLES, *PREDICTIONS))
        ),
        dg.AssetKey(["folds", "fold_table"]),
        dg.AssetKey(CHAMPION.split("/")),
        dg.AssetKey(SPOT_DRIFT.split("/")),
    ],
)
def drift(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Hold every section against each champion's training sections."""
    store = lake.open()

    def plan() -> Plan:
        compared = comparisons(store)
        spots = store.require_head(store.slot(SPOT_DRIFT)).digest
        inputs = {"spot_drift": spots}
        for each in compared:
            inputs.update(_inputs(store, each))
        return Plan(store.slot(NAME), inputs, lambda: _product(store, compared, spots))

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract", *CHECKS))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _inputs(store: Lake, each: Comparison) -> dict[str, str]:
    contender = each.event.contender
    own = (f"image/embeddings_{name}" for name in METHODS[contender.name].features)
    inputs = each.inputs(store, dict.fromkeys((*READ, *own)))
    try:
        inputs.update({str(slot): digest for slot, digest in out_of_fold(store, contender).items()})
    except DataError as error:
        inputs[f"{contender.cohort}:predictions"] = str(error)
    return inputs


def _product(store: Lake, compared: list[Comparison], spots: str) -> Product:
    import pandas as pd

    tables, lacking = [], [] if compared else [NO_CHAMPION]
    for each in compared:
        values, missing = _values(store, each, spots)
        tables += _rows(each, values)
        lacking += missing
    numbers: dict[str, Any] = {"n_champions": len(compared), "not_compared": "\n".join(lacking)}
    if not tables:
        empty = arrow_schema(table_spec(NAME)).empty_table()
        return Product(empty, numbers, findings=[domain.sections_drift(empty.to_pandas())])
    table = pd.concat(tables, ignore_index=True).astype({"is_drift": "boolean"})
    new = table[~table.is_training]
    drifting = new[new.is_drift.fillna(False)]
    numbers["n_new_sections"] = len(new[["cohort", "section_id"]].drop_duplicates())
    numbers["n_drifting_sections"] = len(drifting[["cohort", "section_id"]].drop_duplicates())
    numbers["n_without_threshold"] = int(new.threshold.isna().sum())
    return Product(table, numbers, _picture(table), [domain.sections_drift(table)])


def _values(store: Lake, each: Comparison, spots: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What was measured, by measure and section, and in words what could not be."""
    from gr2st_core.drift.distances import on_common_genes

    colours, lacking = measured(each.sections, partial(stains, store))
    values: dict[str, dict[str, Any]] = {"image": _shares(store, each, spots)}
    for name in ("stain_haematoxylin", "stain_eosin"):
        values[name] = {section: found[name] for section, found in colours.items()}
    values["depth"], unknown = measured(each.sections, partial(depth, store))
    lacking += unknown
    try:
        recalled = summed_up(store, out_of_fold(store, each.event.contender))
        new, unpredicted = measured(each.others, by_fit(store, each.event.contender))
        training = {section: recalled[section] for section in map(str, each.patients) if section in recalled}
        values["predictions"] = on_common_genes({**training, **new})
        lacking += unpredicted
    except DataError as error:
        lacking.append(f"predictions are not compared: {error}")
    return values, list(dict.fromkeys(lacking))


def _shares(store: Lake, each: Comparison, spots: str) -> dict[str, float]:
    """Share of unusual spots by section; none where no spot can be called so."""
    table = store.read_table(
        store.slot(SPOT_DRIFT), ["reference_cohort", "cohort", "section_id", "is_above"], digest=spots
    ).to_pandas()
    own = table[table.reference_cohort == each.event.contender.cohort].dropna(subset=["is_above"])
    shares = own.assign(above=own.is_above.astype(float)).groupby(["cohort", "section_id"]).above.mean()
    return {"/".join(key): float(share) for key, share in shares.items()}


def _rows(each: Comparison, values: dict[str, dict[str, Any]]) -> "list[pd.DataFrame]":
    import pandas as pd

    from gr2st_core.drift.distances import DISTANCES
    from gr2st_core.drift.measures import compare

    patients = {str(key): patient for key, patient in each.patients.items()}
    rows = [
        {
            **each.columns,
            **dict(zip(("cohort", "section_id"), found.section.split("/"), strict=True)),
            "measure": measure,
            "value": found.value,
            "threshold": found.threshold,
            "is_drift": found.is_drift,
            "section_value": found.observed,
            "reference_mean": found.expected,
            "is_training": found.is_training,
            "n_reference_sections": found.n_sections,
            "n_units": found.n_units,
            "left_out": found.left_out,
        }
        for measure, own in values.items()
        for found in compare(own, patients, DISTANCES[measure])
    ]
    columns = {"threshold": "float64", "section_value": "float64", "reference_mean": "float64"}
    return [pd.DataFrame(rows).astype(columns)] if rows else []


def _picture(table: "pd.DataFrame") -> bytes | None:
    """Sections beside the champion that has most new ones, the farthest first."""
    known = table.dropna(subset=["threshold"])
    known = known[known.threshold > 0]
    if known.empty:
        return None
    cohort = known[~known.is_training].reference_cohort.value_counts().index
    cohort = cohort[0] if len(cohort) else known.reference_cohort.iloc[0]
    part = known[known.reference_cohort == cohort]
    basis = part.iloc[0]
    title = f"distance from the training sections of the champion of {cohort}, over its threshold"
    rests = f"thresholds: {basis.n_units} {basis.left_out}s left out one at a time"
    named = part.assign(name=part.cohort + "/" + part.section_id, ratio=part.value / part.threshold)
    return pictures.drift_dots(named, f"{title}\n{rests}")
