"""Assets that users add: values go into the lake as parquet, per partition too."""

import dagster as dg
import pandas as pd
import pytest

from gr2st_assets.io_manager import LakeIOManager
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import FOLDS

SECTIONS = dg.DynamicPartitionsDefinition(name="sections")
KEYS = ["c/A1", "c/A2", "c/B1"]


@dg.asset(
    key=["extra", "numbers"],
    partitions_def=SECTIONS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    io_manager_key="io_manager",
)
def numbers(context) -> dict:
    return {key: pd.DataFrame({"key": [key]}) for key in context.partition_keys}


@dg.asset(key=["extra", "total"], ins={"numbers": dg.AssetIn(["extra", "numbers"])})
def total(numbers) -> pd.DataFrame:
    return pd.DataFrame({"n": [len(numbers)]})


@dg.asset(key=["extra", "per_fold"], partitions_def=FOLDS)
def per_fold(context) -> pd.DataFrame:
    return pd.DataFrame({"key": [context.partition_key]})


@dg.asset(key=["extra", "from_fold"], partitions_def=FOLDS, ins={"rows": dg.AssetIn(["extra", "per_fold"])})
def from_fold(rows) -> pd.DataFrame:
    return pd.DataFrame({"read": rows.column("key").to_pylist()})


@dg.asset(key=["extra", "wrong"])
def wrong() -> str:
    return "not a table"


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("sections", KEYS)
        yield instance


def test_one_run_over_many_partitions_stores_one_table_each_and_a_dict_is_loaded(instance, tmp_path):
    resources = {"io_manager": LakeIOManager(root=str(tmp_path))}
    tags = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
    assert dg.materialize([numbers], instance=instance, resources=resources, tags=tags).success
    assert dg.materialize([numbers, total], selection=[total], instance=instance, resources=resources).success
    lake = Lake(tmp_path)
    assert lake.read_table(lake.slot("extra/numbers", cohort="c", section="A2")).to_pylist() == [{"key": "c/A2"}]
    assert lake.read_table(lake.slot("extra/total")).to_pylist() == [{"n": 3}]
    assert instance.get_materialized_partitions(numbers.key) == set(KEYS)


def test_folds_lie_under_the_key_fold_and_are_read_from_there(instance, tmp_path):
    instance.add_dynamic_partitions(FOLDS.name, ["c/patient-A"])
    resources = {"io_manager": LakeIOManager(root=str(tmp_path))}
    assert dg.materialize(
        [per_fold, from_fold], instance=instance, resources=resources, partition_key="c/patient-A"
    ).success
    lake = Lake(tmp_path)
    assert lake.slots() == [lake.slot(f"extra/{n}", cohort="c", fold="patient-A") for n in ("from_fold", "per_fold")]
    assert lake.read_table(lake.slots()[0]).to_pylist() == [{"read": "c/patient-A"}]


def test_anything_but_a_table_is_refused(instance, tmp_path):
    resources = {"io_manager": LakeIOManager(root=str(tmp_path))}
    result = dg.materialize([wrong], instance=instance, resources=resources, raise_on_error=False)
    assert not result.success
    assert not list(tmp_path.rglob("*.parquet"))
