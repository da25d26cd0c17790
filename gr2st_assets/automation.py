"""Named jobs: the stages that the ``gr2st`` command runs in turn, and the studies, which it runs when asked to.

Belongs here: which assets make a stage. Does not belong here: sensors and schedules of other journeys.

One job cannot span two partition sets, hence a section stage, a fold stage, and stages without partitions. Champions
are decided without partitions, and then serve sections again.
"""

from typing import Any

import dagster as dg

from gr2st_assets.selection import EXPLORER, SERVED, STUDIES, STUDY_SUMMARY

SECTION_STAGE = "sections"
FOLD_TABLE_STAGE = "fold_table"
FOLD_STAGE = "folds"
SUMMARY_STAGE = "summary"
SERVING_STAGE = "serving"
EXPLORER_STAGE = "explorer"
STUDY_STAGE = "studies"
STUDY_SUMMARY_STAGE = "study_summary"
READERS = ("evaluation/report", "catalog/catalog")
"""Assets of the summary stage that tell readers what another stage has made."""


def stage_jobs(assets: list[dg.AssetsDefinition]) -> list[Any]:
    """Make one job a stage."""

    def names(partitions: str | None) -> list[dg.AssetKey]:
        return [a.key for a in assets if getattr(a.partitions_def, "name", None) == partitions and a.key not in apart]

    fold_studies, summary = [dg.AssetKey(name.split("/")) for name in STUDIES.values()], STUDY_SUMMARY.split("/")
    fold_table, studies = dg.AssetKey(["folds", "fold_table"]), [*fold_studies, dg.AssetKey(summary)]
    served, explorer = dg.AssetKey(SERVED.split("/")), dg.AssetKey(EXPLORER.split("/"))
    apart = {*studies, served, explorer}
    return [
        dg.define_asset_job(SECTION_STAGE, selection=names("sections"), description="Slides to embeddings and graphs."),
        dg.define_asset_job(FOLD_TABLE_STAGE, selection=[fold_table], description="Who trains and who is tested."),
        dg.define_asset_job(FOLD_STAGE, selection=names("folds"), description="Panels, models, predictions, scores."),
        dg.define_asset_job(
            SUMMARY_STAGE,
            selection=[key for key in names(None) if key != fold_table],
            description="Scoreboard, reference bank, catalogue.",
        ),
        dg.define_asset_job(SERVING_STAGE, selection=[served], description="What champions predict of other sections."),
        dg.define_asset_job(EXPLORER_STAGE, selection=[explorer], description="Pages to look at sections with."),
        dg.define_asset_job(STUDY_STAGE, selection=fold_studies, description="Ablation and sensitivity; takes long."),
        dg.define_asset_job(STUDY_SUMMARY_STAGE, selection=studies[-1:], description="Both studies over all folds."),
    ]
