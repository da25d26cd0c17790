"""Group ``serving``, fifth part: how far a champion's predictions may be wrong.

Belongs here: intervals of every champion, calibrated on its own out-of-fold errors. Does not belong here: how
(``gr2st_core.evaluation.conformal``), predictions with intervals (``slide_predictions``).
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets.assets.champion import CHAMPION
from gr2st_assets.assets.evaluation import PREDICTIONS
from gr2st_assets.calibration_errors import OBSERVED, error_tables, patient_errors
from gr2st_assets.champion_records import Event
from gr2st_assets.champions import champions, history
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.records import Slot
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.served import CALIBRATION, champion_genes
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec
from gr2st_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from gr2st_core.evaluation.conformal import Intervals
    from gr2st_core.settings import IntervalSettings

_ARGUMENTS = asset_arguments(
    CALIBRATION, code=("gr2st_core.evaluation.conformal", "gr2st_core.evaluation.error_quantile",
    "gr2st_assets.calibration_errors", "gr2st_assets.matrices"), checks=(), kinds={"python"}, pool=None,
    doc="Prediction intervals of each champion by gene, calibrated on patients that its recipe never saw, whom they "
    "speak of, and what they cover of patients left out.",
)  # fmt: skip
Tables = Mapping[Slot, tuple[str, str]]


@dg.asset(
    **_ARGUMENTS,
    deps=[
        *(dg.AssetDep(dg.AssetKey(t.split("/")), partition_mapping=ALL_SECTIONS) for t in (*PREDICTIONS, OBSERVED)),
        dg.AssetKey(CHAMPION.split("/")),
    ],
)
def calibration(context: dg.AssetExecutionContext, lake: LakeResource, experiment: Experiment) -> Iterator[Any]:
    """Calibrate the intervals of every champion."""
    store, settings = lake.open(), experiment.settings().intervals

    def plan() -> Plan:
        found: dict[str, tuple[Event, Tables]] = {}
        inputs, lacking = {}, []
        for cohort, event in champions(history(store)).items():
            contender = event.contender
            inputs[cohort] = f"{event.number} {contender.model_id}"
            try:
                found[cohort] = event, error_tables(store, contender)
            except DataError as error:
                lacking.append(f"{cohort} has no intervals: {error}")
            else:
                inputs |= {str(slot): " ".join(digests) for slot, digests in found[cohort][1].items()}
        inputs["lacking"] = "\n".join(lacking)
        return Plan(store.slot(CALIBRATION), inputs, lambda: _product(store, list(found.values()), settings, lacking))

    recipe = Recipe(table_spec(CALIBRATION), _ARGUMENTS["code_version"], settings.digest, ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _product(
    store: Lake, found: list[tuple[Event, Tables]], settings: "IntervalSettings", lacking: list[str]
) -> Product:
    import pandas as pd

    from gr2st_core.evaluation.conformal import calibrate

    tables = []
    for event, digests in found:
        genes = champion_genes(store, event.contender)
        tables.append(_rows(event, calibrate(patient_errors(store, digests), genes, settings)))
    numbers: dict[str, Any] = {"n_champions": len(found), "without_intervals": "\n".join(lacking)}
    if not tables:
        return Product(arrow_schema(table_spec(CALIBRATION)).empty_table(), numbers)
    table = pd.concat(tables, ignore_index=True)
    if table.coverage.notna().any():
        numbers |= {"level": settings.level, "coverage": float(table.coverage.mean())}
    return Product(table, numbers)


def _rows(event: Event, intervals: "Intervals") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    contender, known = event.contender, intervals.n_patients > 0
    measured = ~np.isnan(intervals.coverage)
    n_measured = measured.sum(axis=0)
    mean = np.where(measured, intervals.coverage, 0).sum(axis=0) / np.maximum(n_measured, 1)
    least = np.where(measured, intervals.coverage, np.inf).min(axis=0, initial=np.inf)
    return pd.DataFrame(
        {
            "reference_cohort": contender.cohort,
            "champion": event.number,
            "model_id": contender.model_id,
            "panel": contender.panel,
            "target": contender.target,
            "gene": intervals.genes,
            "level": intervals.level,
            "quantile": intervals.rule.quantile,
            "scale_intercept": intervals.rule.intercept,
            "scale_slope": intervals.rule.slope,
            "scale_floor": intervals.rule.floor,
            "support": intervals.support,
            "n_patients": intervals.n_patients,
            "n_spots": intervals.n_spots,
            "coverage": np.where(n_measured > 0, mean, np.nan),
            "coverage_min": np.where(n_measured > 0, least, np.nan),
        }
    )[known]
