"""Group ``serving``, third part: how unlike a champion's training spots every spot of the lake is.

Belongs here: scoring the spots of all sections by their image. Does not belong here: the score
(``gr2st_core.drift``), sections as wholes (``drift``).
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets.assets.champion import CHAMPION
from gr2st_assets.drift_sections import (
    ENCODER,
    GEOMETRY,
    NO_CHAMPION,
    Comparison,
    comparisons,
    features,
    measured,
)
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_assets.training_reference import training_reference
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from gr2st_core.drift.reference import Reference
    from gr2st_core.settings import DriftSettings

NAME = "serving/spot_drift"
READ = (*GEOMETRY, f"image/embeddings_{ENCODER}")
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.drift", "gr2st_core.models.linear", "gr2st_assets.drift_sections", "gr2st_assets.sections",
    "gr2st_assets.training_reference"),
    checks=(), kinds={"python"}, pool=None,
    doc="Distance of every spot's patch features from the spots that a champion was trained on, and whether it is "
    "unusual: an out-of-distribution score.",
)  # fmt: skip


@dg.asset(
    **_ARGUMENTS,
    deps=[
        *(dg.AssetDep(dg.AssetKey(table.split("/")), partition_mapping=ALL_SECTIONS) for table in READ),
        dg.AssetKey(["folds", "fold_table"]),
        dg.AssetKey(CHAMPION.split("/")),
    ],
)
def spot_drift(context: dg.AssetExecutionContext, lake: LakeResource, experiment: Experiment) -> Iterator[Any]:
    """Score the spots of all sections against each champion's training spots."""
    store, settings = lake.open(), experiment.settings().drift

    def plan() -> Plan:
        compared = comparisons(store)
        inputs = {name: digest for each in compared for name, digest in each.inputs(store, READ).items()}
        return Plan(store.slot(NAME), inputs, lambda: _product(store, compared, settings))

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], settings.digest, ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _product(store: Lake, compared: list[Comparison], settings: "DriftSettings") -> Product:
    import pandas as pd

    tables, lacking = [], [] if compared else [NO_CHAMPION]
    for each in compared:
        scored, missing = _scored(store, each, settings)
        tables += scored
        lacking += missing
    numbers: dict[str, Any] = {"n_champions": len(compared), "not_compared": "\n".join(lacking)}
    if not tables:
        return Product(arrow_schema(table_spec(NAME)).empty_table(), numbers)
    table = pd.concat(tables, ignore_index=True)
    unusual = table.is_above[~table.is_training].dropna().astype(float)
    if len(unusual):
        numbers["share_unusual"] = float(unusual.mean())
    return Product(table, numbers)


def _scored(store: Lake, each: Comparison, settings: "DriftSettings") -> "tuple[list[pd.DataFrame], list[str]]":
    """Rows of all sections beside one champion, read one at a time, and in words what could not be compared."""
    reference, lacking = training_reference(store, each.patients, settings)
    if reference is None:
        return [], lacking
    tables, unscored = measured(each.sections, partial(_rows, store, reference, each))
    if reference.units.left_out is None:
        unscored.append(
            f"{len(reference.units.of)} training sections: too few to leave one out, so no spot is called unusual"
        )
    return list(tables.values()), list(dict.fromkeys([*lacking, *unscored]))


def _rows(store: Lake, reference: "Reference", each: Comparison, key: SectionKey) -> "pd.DataFrame | None":
    """Scores of one section; none without an image, nor of a training section where none can be left out."""
    import pandas as pd

    is_training, found = key in each.patients, features(store, key)
    if found is None or (is_training and reference.units.left_out is None):
        return None
    spot_ids, values = found
    scores = reference.score(str(key), values)
    return pd.DataFrame(
        {
            "cohort": key.cohort,
            "section_id": key.section_id,
            "spot_id": spot_ids.astype(object),
            "distance": scores.score,
            "quantile": _nullable(scores.quantile, len(spot_ids), "float64"),
            "is_above": _nullable(scores.is_above, len(spot_ids), "boolean"),
            "nearest_section_id": [name.partition("/")[2] for name in scores.nearest_sections[:, 0].tolist()],
            "nearest_spot_id": scores.nearest_spots[:, 0].astype(object),
            "is_training": is_training,
            **each.columns,
        }
    )


def _nullable(values: "np.ndarray | None", n: int, kind: str) -> "pd.Series":
    import pandas as pd

    return pd.Series([None] * n if values is None else values, dtype=kind)
