"""Where values go that an asset returns: into the lake as parquet, never into a pickle.

Belongs here: the IO manager that is the default of the whole project. Does not belong here: the project's own assets,
which publish as they go (``steps``) and hand nothing over; this serves assets that users add, in a function that
takes tables and returns one.
"""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg

from gr2st_assets.fingerprint import fingerprint
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import FOLDS, PartitionKey
from gr2st_assets.project import lake_root
from gr2st_assets.records import Provenance, Slot
from gr2st_core.errors import SchemaError


class LakeIOManager(dg.ConfigurableIOManager):
    """Stores frames and Arrow tables by asset and partition; a run over many partitions returns a dict by key."""

    root: str = ""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Publish one table, or one per partition key.

        Raises
        ------
        SchemaError
            Not a table, or not exactly the run's partition keys.
        """
        lake = Lake(self.root or lake_root())
        keys = list(context.asset_partition_keys) if context.has_asset_partitions else [None]
        tables = obj if isinstance(obj, Mapping) else dict.fromkeys(keys, obj)
        if set(tables) != set(keys) or (len(keys) > 1 and not isinstance(obj, Mapping)):
            raise SchemaError("return one table per partition key", expected=keys, found=type(obj).__name__)
        for key, value in tables.items():
            table = _as_arrow(value)
            provenance = Provenance(
                fingerprint=fingerprint(context.asset_key.to_user_string(), context.run_id, "", {}),
                inputs={}, settings_hash="", code_version="", generation="", run_id=context.run_id, started=time.time(),
            )  # fmt: skip
            lake.write_table(_slot(lake, context, key), table, provenance)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read an Arrow table, or a dict of them by partition key."""
        lake = Lake(self.root or lake_root())
        if not context.has_asset_partitions:
            return lake.read_table(_slot(lake, context, None))
        keys = list(context.asset_partition_keys)
        tables = {key: lake.read_table(_slot(lake, context, key)) for key in keys}
        return tables[keys[0]] if len(keys) == 1 else tables


def _slot(lake: Lake, context: dg.OutputContext | dg.InputContext, partition_key: str | None) -> Slot:
    path = context.asset_key.path
    if len(path) != 2:
        raise SchemaError("an asset in the lake has the key group/name", found=context.asset_key.to_user_string())
    if partition_key is None:
        return lake.slot("/".join(path))
    part = PartitionKey.parse(partition_key)
    kind = "fold" if getattr(context.asset_partitions_def, "name", None) == FOLDS.name else "section"
    return lake.slot("/".join(path), cohort=part.cohort, **{kind: part.name})


def _as_arrow(value: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pd.DataFrame):
        return pa.Table.from_pandas(value, preserve_index=False)
    raise SchemaError("an asset returns a pandas frame or an Arrow table", found=type(value).__name__)
