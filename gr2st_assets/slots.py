"""Where each table's partitions lie in the lake.

Belongs here: the folder keys of section and fold tables. Does not belong here: files, contents.
"""

from dataclasses import dataclass

from gr2st_assets.lake import Lake
from gr2st_assets.partitions import PartitionKey
from gr2st_assets.records import Slot
from gr2st_core.keys import SectionKey


@dataclass(frozen=True)
class Variant:
    """What a fold's tables are made for: a panel, a target, a seed."""

    panel: str
    target: str
    seed: int


_FEWER_KEYS = {"expression/panel": ("panel",), "predictions/observed": ("panel", "target")}


def section_slot(lake: Lake, table: str, key: SectionKey) -> Slot:
    """Slot of a section table."""
    return lake.slot(table, cohort=key.cohort, section=key.section_id)


def fold_slot(lake: Lake, table: str, fold_id: str, variant: Variant) -> Slot:
    """Slot of a fold table; the panel does not depend on target and seed, the observed values not on the seed."""
    fold = PartitionKey.parse(fold_id)
    values = {"panel": variant.panel, "target": variant.target, "seed": str(variant.seed)}
    used = _FEWER_KEYS.get(table, ("panel", "target", "seed"))
    return lake.slot(table, cohort=fold.cohort, fold=fold.name, **{name: values[name] for name in used})
