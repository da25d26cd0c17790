"""Group ``serving``, second part: what new slides are predicted with.

Belongs here: the reference bank of the models that were trained on everybody. Does not belong here: their scores,
which only the other folds can give.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from gr2st_assets.assets.champion import CHAMPION
from gr2st_assets.assets.graphs import GR2ST
from gr2st_assets.champions import champions, history
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
    doc="Embedded training spots of every model that was trained on all sections of its cohort; the champion's say so.",
)  # fmt: skip


@dataclass(frozen=True)
class _Model:
    """A fitted model with a bank; ``champion`` is the event by which it serves, None if it does not."""

    slot: Slot
    digest: str
    model_id: str
    champion: int | None


@dg.asset(
    **_ARGUMENTS,
    deps=[
        dg.AssetDep(dg.AssetKey(MODEL.split("/")), partition_mapping=ALL_SECTIONS),
        dg.AssetKey(CHAMPION.split("/")),
    ],
)
def reference_bank(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[Any]:
    """Collect the banks of all ``cohort/all`` models."""
    store = lake.open()

    def plan() -> Plan:
        models = _models(store)
        inputs = {f"{model.slot} {model.digest}": str(model.champion) for model in models}
        return Plan(store.slot(NAME), inputs, lambda: _product(store, models))

    recipe = Recipe(table_spec(NAME), _ARGUMENTS["code_version"], "", ("contract",))
    yield from run_step(context, store, recipe, iter([(None, plan)]))


def _models(store: Lake) -> list[_Model]:
    """The newest models, and champions that newer ones have followed without taking over."""
    serving = {e.contender.model: e for e in champions(history(store)).values() if e.contender.name == GR2ST}
    heads = [store.require_head(slot) for slot in store.slots(MODEL) if slot.value("fold") == "all"]
    newest = {(head.slot, head.digest): str(head.provenance.metadata["model_id"]) for head in heads}
    ids = {**newest, **{place: event.contender.model_id for place, event in serving.items()}}
    return [
        _Model(*place, identity, serving[place].number if place in serving else None)
        for place, identity in sorted(ids.items())
    ]


def _product(store: Lake, models: list[_Model]) -> Product:
    import pyarrow as pa

    schema = arrow_schema(table_spec(NAME))
    tables = [schema.empty_table(), *(_bank(store, model) for model in models)]
    table = pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])
    return Product(table, {"n_spots": table.num_rows, "n_models": len(models)})


def _bank(store: Lake, model: _Model) -> Any:
    import numpy as np
    import pyarrow as pa

    from gr2st_core.retrieval.bank import ReferenceBank
    from gr2st_core.training.checkpoint import load_state

    with store.local_copy(model.slot, model.digest) as folder:
        bank = ReferenceBank.from_arrays(load_state(folder).bank)
    width, n_spots = bank.embeddings.shape[1], len(bank.spot_ids)
    offsets = np.arange(n_spots + 1, dtype=np.int32) * width
    cohorts, sections = zip(*(str(key).split("/") for key in bank.section_keys), strict=True)
    return pa.table(
        {
            "fold_id": [f"{model.slot.value('cohort')}/{model.slot.value('fold')}"] * n_spots,
            "model_id": [model.model_id] * n_spots,
            "champion": pa.array([model.champion] * n_spots, pa.int64()),
            "cohort": list(cohorts),
            "section_id": list(sections),
            "spot_id": [str(spot) for spot in bank.spot_ids],
            "embedding": pa.ListArray.from_arrays(offsets, pa.array(bank.embeddings.astype(np.float32).ravel())),
        }
    )
