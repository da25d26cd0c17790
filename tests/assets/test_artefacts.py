"""Tables as parquet: equal rows give equal bytes, and rot is noticed."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from gr2st_assets.artefacts import read_parquet, write_parquet
from gr2st_core.errors import DataError, SchemaError

SCRIPT = """
import hashlib, sys
from pathlib import Path
import pyarrow as pa
from gr2st_assets.artefacts import write_parquet

names = {"gene", "spot", "section"}
metadata = {name: name.upper() for name in names}
table = pa.table({"gene": ["ERBB2", "ESR1", None] * 1000, "value": [0.1, float("nan"), None] * 1000})
path = Path(sys.argv[1]) / "data.parquet"
write_parquet(path, table.replace_schema_metadata(metadata))
print(hashlib.sha256(path.read_bytes()).hexdigest())
"""


@pytest.fixture
def table():
    values = np.random.default_rng(0).random(6000)
    columns = {
        "spot_id": pa.array([f"{i}x{i % 7}" for i in range(2000)]),
        "gene": pa.array(["ERBB2", "ESR1"] * 1000),
        "predicted": pa.array(values[:2000], pa.float32()),
        "weight": pa.array([None if i % 5 else 0.5 for i in range(2000)], pa.float32()),
        "embedding": pa.array(list(values[2000:].reshape(2000, 2)), pa.list_(pa.float32())),
    }
    return pa.table(columns).replace_schema_metadata({"panel": "p", "genes": "g"})


def test_a_table_reads_back_with_its_schema_and_metadata(tmp_path, table):
    write_parquet(tmp_path / "data.parquet", table)
    back = read_parquet(UPath(tmp_path / "data.parquet"))
    assert back.equals(table)
    assert back.schema.metadata == table.schema.metadata


def test_folder_names_that_look_like_partitions_add_no_columns(tmp_path, table):
    folder = tmp_path / "cohort=her2st"
    folder.mkdir()
    write_parquet(folder / "data.parquet", table)
    assert read_parquet(UPath(folder / "data.parquet")).column_names == table.column_names


def test_chunks_and_metadata_order_do_not_change_the_bytes(tmp_path, table):
    pieces = pa.concat_tables([table.slice(0, 3), table.slice(3, 900), table.slice(903)])
    shuffled = pieces.replace_schema_metadata({"genes": "g", "panel": "p"})
    write_parquet(tmp_path / "one.parquet", table)
    write_parquet(tmp_path / "two.parquet", shuffled)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_hash_seed_folder_time_zone_and_locale_do_not_change_the_bytes(tmp_path):
    found = set()
    for seed, zone, language in (("0", "UTC", "C"), ("1", "Asia/Tokyo", "C.UTF-8")):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language}
        command = [sys.executable, "-c", SCRIPT, str(folder)]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1


def test_row_groups_have_a_fixed_size(tmp_path):
    write_parquet(tmp_path / "data.parquet", pa.table({"x": pa.array(range(300_000))}))
    file = pq.ParquetFile(tmp_path / "data.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(3)] == [122_880, 122_880, 54_240]


def test_columns_come_in_the_order_asked_for(tmp_path, table):
    write_parquet(tmp_path / "data.parquet", table)
    assert read_parquet(UPath(tmp_path / "data.parquet"), ["predicted", "gene"]).column_names == ["predicted", "gene"]


def test_an_unknown_column_is_an_error_naming_it(tmp_path, table):
    write_parquet(tmp_path / "data.parquet", table)
    with pytest.raises(SchemaError) as caught:
        read_parquet(UPath(tmp_path / "data.parquet"), ["gene", "observed"])
    assert caught.value.context["field"] == ["observed"]
    assert caught.value.context["found"] == table.column_names


def test_a_table_with_no_rows_survives(tmp_path, table):
    write_parquet(tmp_path / "data.parquet", table.slice(0, 0))
    assert read_parquet(UPath(tmp_path / "data.parquet")).equals(table.slice(0, 0))


def test_a_truncated_table_is_an_error_naming_the_file(tmp_path, table):
    path = tmp_path / "data.parquet"
    write_parquet(path, table)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        read_parquet(UPath(path))
    assert caught.value.context["file"] == UPath(path)


def test_a_flipped_bit_in_a_page_is_noticed(tmp_path, table):
    path = tmp_path / "data.parquet"
    write_parquet(path, table)
    whole = path.read_bytes()
    column = pq.read_metadata(path).row_group(0).column(2)
    damaged = bytearray(whole)
    damaged[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged"):
        read_parquet(UPath(path))
