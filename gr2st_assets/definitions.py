"""The one Definitions object: assets, jobs, sensors, schedules, resources, executor.

Belongs here: putting things together. Does not belong here: anything that could be computed; loading this module
imports none of torch, pandas, scanpy, NumPy.
"""

import gc
import sys

import dagster as dg

from gr2st_assets.alerts import failed_runs
from gr2st_assets.arrivals import inbox_sensor, ingest
from gr2st_assets.assets.calibration import calibration
from gr2st_assets.assets.catalog import catalog_asset
from gr2st_assets.assets.cells import cell_types
from gr2st_assets.assets.champion import champion
from gr2st_assets.assets.comparisons import comparisons
from gr2st_assets.assets.drift import drift
from gr2st_assets.assets.evaluation import gene_scores, section_scores
from gr2st_assets.assets.explorer import explorer
from gr2st_assets.assets.expression import hvg_table, panel
from gr2st_assets.assets.folds import fold_table
from gr2st_assets.assets.graphs import functional_graph, spatial_graph
from gr2st_assets.assets.image import EMBEDDINGS
from gr2st_assets.assets.predictions import MODELS, PREDICTIONS, observed
from gr2st_assets.assets.published import published_scores
from gr2st_assets.assets.quarantine import quarantine
from gr2st_assets.assets.raw import counts, slides, spots
from gr2st_assets.assets.recall import recall_scores, recall_scores_comparators, recall_share
from gr2st_assets.assets.report import report_asset
from gr2st_assets.assets.scoreboard import scoreboard
from gr2st_assets.assets.serving import reference_bank
from gr2st_assets.assets.slide_predictions import slide_predictions
from gr2st_assets.assets.spot_drift import spot_drift
from gr2st_assets.assets.studies import FOLD_STUDIES, studies
from gr2st_assets.automation import stage_jobs
from gr2st_assets.console import progress_logger
from gr2st_assets.features import features_sensor, registration
from gr2st_assets.io_manager import LakeIOManager
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.retraining import complete_cohorts, planned_features, retrain, retrain_schedule

_REPORTED = [
    slides, spots, counts, quarantine, hvg_table, *EMBEDDINGS, cell_types, spatial_graph, fold_table, panel, observed,
    *MODELS, *PREDICTIONS, functional_graph, gene_scores, section_scores, scoreboard, comparisons, recall_scores,
    recall_scores_comparators, recall_share, published_scores, champion, reference_bank, calibration, spot_drift, drift,
    slide_predictions, explorer, *FOLD_STUDIES, studies,
]  # fmt: skip
TABLE_ASSETS = [*_REPORTED, report_asset(_REPORTED)]
ASSETS = [*TABLE_ASSETS, catalog_asset(TABLE_ASSETS)]

defs = dg.Definitions(
    assets=[registration, *ASSETS],
    jobs=[*stage_jobs(ASSETS), ingest, retrain],
    sensors=[inbox_sensor, features_sensor(planned_features()), complete_cohorts, failed_runs],
    schedules=[retrain_schedule],
    resources={
        "lake": LakeResource(),
        # config of the experiment is set per run, in the launchpad or by gr2st materialize
        "experiment": Experiment.configure_at_launch(),
        "io_manager": LakeIOManager(),
    },
    loggers={"progress": progress_logger},
    executor=dg.multiprocess_executor.configured(
        {
            "max_concurrent": 2,
            "start_method": {"forkserver": {"preload_modules": ["gr2st_core.warm", "gr2st_assets.definitions"]}},
        }
    ),
)

# What is loaded lives as long as the process: the collector need not visit it, and forked steps share its memory.
# DuckDB, where it came first, would report at the end as leaked what is frozen with it.
if "duckdb" not in sys.modules:
    gc.freeze()
