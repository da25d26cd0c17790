"""Features of new and changed sections, made by Dagster itself.

Belongs here: the condition under which a section's tables and the fold table are made, and the sensor that looks. Does
not belong here: training, which every section that comes in would ask for again (``retraining``).
"""

from collections.abc import Sequence

import dagster as dg

from gr2st_assets.ingest import REGISTRATION
from gr2st_assets.partitions import SECTIONS

INTERVAL_S = 30
FOLD_TABLE = dg.AssetKey(["folds", "fold_table"])

SECTION_CONDITION = dg.AutomationCondition.eager()
"""When the section was registered, or what the table is made from was made again."""

FOLD_TABLE_CONDITION = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("sections changed, and none is being made")

registration = dg.AssetSpec(
    REGISTRATION,
    group_name="raw",
    partitions_def=SECTIONS,
    kinds={"json"},
    owners=["team:gr2st"],
    description="Sections that passed inspection, told of by `gr2st cohort add` or the inbox; events, not a table.",
)


def features_sensor(names: Sequence[str]) -> dg.AutomationConditionSensorDefinition:
    """Make the sensor that makes the named tables of new sections, and then the fold table."""
    keys = [dg.AssetKey(name.split("/")) for name in names]
    return dg.AutomationConditionSensorDefinition(
        "features",
        target=dg.AssetSelection.assets(*keys, FOLD_TABLE),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=INTERVAL_S,
        description="Makes features of registered sections, and the fold table after them.",
    )
