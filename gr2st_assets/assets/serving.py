"""Group ``serving``: what new slides are predicted with.

Belongs here: the reference bank of the models that were trained on everybody. Does not belong here: their scores,
which only the other folds can give.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from gr2st_assets.assets.graphs import GR2ST
from gr2st_assets.kinds import asset_arguments
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import ALL_SECTIONS
from gr2st_assets.records import Slot
from gr2st_assets.resources import LakeResource
from gr2st_assets.steps import Plan, Product, Recipe, run_step
from gr2st_assets.tables import arrow_schema, table_spec

NAME = "serving/reference_bank"
MODEL = f"models/model_{GR2ST}"
_ARGUMENTS = asset_arguments(
    NAME, code=("gr2st_core.retrieval", "gr2st_core.training.checkpoint"), checks=(), kinds={"python"}, pool=None,
    doc="Embedded training spots of every model that was trained on all sections of its cohort.",
)  # fmt: skip


@dg.asset(**_ARGUMENTS, deps=[dg.AssetDep(dg.AssetKey(MODEL.split("/")), partition_mapping=ALL_SECTIONS)])
def reference_bank(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Collect the banks of all ``cohort/all`` models."""
    store = lake.open()
    slots = [slot for slot in store.slots(MODEL) if slot.value("fold") == "all"]
    inputs = {str(slot): store.require_head(slot).digest for slot in slots}

    def plan() -> Plan:
        return Plan(store.slot(NAME), inputs, lambda: _product(store, slots))

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _product(store: Lake, slots: list[Slot]) -> Product:
    import pyarrow as pa

    schema = arrow_schema(table_spec(NAME))
    tables = [schema.empty_table(), *(_bank(store, slot) for slot in slots)]
    table = pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])
    return Product(table, {"n_spots": table.num_rows, "n_models": len(slots)})


def _bank(store: Lake, slot: Slot) -> Any:
    import numpy as np
    import pyarrow as pa

    from gr2st_core.retrieval.bank import ReferenceBank
    from gr2st_core.training.checkpoint import load_state

    with store.local_copy(slot) as folder:
        bank = ReferenceBank.from_arrays(load_state(folder).bank)
    identity = store.require_head(slot).provenance.metadata["model_id"]
    width = bank.embeddings.shape[1]
    offsets = np.arange(len(bank.spot_ids) + 1, dtype=np.int32) * width
    cohorts, sections = zip(*(str(key).split("/") for key in bank.section_keys), strict=True)
    return pa.table(
        {
            "fold_id": [f"{slot.value('cohort')}/{slot.value('fold')}"] * len(bank.spot_ids),
            "model_id": [identity] * len(bank.spot_ids),
            "cohort": list(cohorts),
            "section_id": list(sections),
            "spot_id": [str(spot) for spot in bank.spot_ids],
            "embedding": pa.ListArray.from_arrays(offsets, pa.array(bank.embeddings.astype(np.float32).ravel())),
        }
    )
