"""Group ``serving``, sixth part: what champions predict of sections that they were not trained on.

Belongs here: predictions with intervals of every such section, slides without counts above all. Does not belong here:
out-of-fold predictions (``predictions``), slides that were never registered (``gr2st predict``), how unlike training a
spot is (``spot_drift``).

A section is predicted by the champion of every cohort that was not trained on it; a table without rows says that none
could, and the metadata why.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets.assets.champion import CHAMPION
from gr2st_assets.drift_sections import NO_CHAMPION, Comparison
from gr2st_assets.kinds import Blueprint, ProgressOf, asset_arguments, partitioned_asset
from gr2st_assets.lake import Lake
from gr2st_assets.models import ENCODER_TABLES
from gr2st_assets.partitions import SECTIONS
from gr2st_assets.resources import Experiment
from gr2st_assets.selection import SERVED
from gr2st_assets.served import CALIBRATION, Champions, Rule
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_core.errors import DataError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.settings import Settings
    from gr2st_core.types import Prediction

_ARGUMENTS = asset_arguments(
    SERVED, checks=(), kinds={"torch"}, pool="gpu",
    code=("gr2st_assets.served", "gr2st_assets.sections", "gr2st_assets.section_images",
          "gr2st_core.evaluation.conformal"),
    doc="Expression of a section by every champion that was not trained on it, from the image alone, with intervals.",
)  # fmt: skip


def _open_plans(
    store: Lake,
    experiment: Experiment,  # noqa: ARG001 - every blueprint is opened alike
    settings: "Settings",  # noqa: ARG001 - a champion has settings of its own
    progress: ProgressOf,  # noqa: ARG001 - a section takes seconds
) -> Callable[[str], Plan]:
    champions = Champions(store)

    def plan(text: str) -> Plan:
        key = SectionKey.parse(text)
        return Plan(section_slot(store, SERVED, key), champions.inputs(key), lambda: _product(champions, key))

    return plan


def _product(champions: Champions, key: SectionKey) -> Product:
    import pandas as pd

    tables, lacking = [], [] if champions.of(key) else [f"{NO_CHAMPION}, or all were trained on the section"]
    for each in champions.of(key):
        cohort = each.event.contender.cohort
        if missing := champions.lacking(each, key):
            lacking.append(f"not by the champion of {cohort}: {', '.join(missing)} not made")
            continue
        try:
            found = champions.predict(each, key)
        except DataError as error:
            lacking.append(f"not by the champion of {cohort}: {error}")
            continue
        if found is None:
            lacking.append("the section has no image")
        else:
            tables.append(_rows(each, *found))
    numbers: dict[str, Any] = {"n_champions": len(tables), "not_predicted": "\n".join(dict.fromkeys(lacking))}
    if not tables:
        return Product(arrow_schema(table_spec(SERVED)).empty_table(), numbers)
    return Product(pd.concat(tables, ignore_index=True), numbers)


def _rows(each: Comparison, prediction: "Prediction", rule: Rule) -> "pd.DataFrame":
    """One row a spot and gene, spots outer."""
    import numpy as np
    import pandas as pd

    contender = each.event.contender
    n_spots, n_genes = prediction.values.shape
    lower, upper = rule.errors.ends(prediction.values)
    return pd.DataFrame(
        {
            **each.columns,
            "panel": contender.panel,
            "target": contender.target,
            "cohort": prediction.key.cohort,
            "section_id": prediction.key.section_id,
            "spot_id": pd.Categorical(np.repeat(prediction.spot_ids, n_genes)),
            "gene": pd.Categorical(np.tile(np.asarray(prediction.genes, dtype=object), n_spots)),
            "predicted": prediction.values.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
            "support": pd.Categorical(np.tile(np.asarray(rule.support, dtype=object), n_spots)),
        }
    )


slide_predictions = partitioned_asset(
    Blueprint(SERVED, SECTIONS.name, _ARGUMENTS["code_version"], (), None, _open_plans),
    _ARGUMENTS,
    SECTIONS,
    [*(dg.AssetKey(t.split("/")) for t in ("raw/slides", "raw/spots", *ENCODER_TABLES, CHAMPION, CALIBRATION))],
)
