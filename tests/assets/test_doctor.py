"""Damage is found, said, and made anew."""

import time

import pyarrow as pa
import pytest

from gr2st_assets.doctor import examine
from gr2st_assets.lake import Lake
from gr2st_assets.records import Provenance

PROVENANCE = Provenance("mark", {}, "", "", "", "run", time.time())
TABLE = pa.table({"n": list(range(1000))})


@pytest.fixture
def lake(tmp_path, monkeypatch):
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    for name in ("DAGSTER_HOME", "GR2ST_LAKE"):
        monkeypatch.delenv(name, raising=False)
    # examine sets it for child processes; here it must not outlast the test
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "instance"))
    (tmp_path / "instance").mkdir()
    return Lake(tmp_path / "lake")


def test_a_flipped_byte_is_named_and_its_slot_made_anew(lake):
    slot = lake.slot("raw/spots", cohort="c", section="A1")
    lake.write_table(slot, TABLE, PROVENANCE)
    path = lake.folder(slot) / "data.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    said = []
    assert examine(said.append, deep=False) == 0
    assert examine(said.append, deep=True) == 1
    assert any("DAMAGED" in line and "data.parquet" in line for line in said)
    assert not lake.is_current(slot, "mark")
    lake.write_table(slot, TABLE, PROVENANCE)
    assert examine(said.append, deep=True) == 0


def test_a_damaged_head_is_not_current_and_heals(lake):
    slot = lake.slot("raw/spots", cohort="c", section="A1")
    lake.write_table(slot, TABLE, PROVENANCE)
    (lake.path(slot) / "_head.json").write_bytes(b"{half")
    assert not lake.is_current(slot, "mark")
    lake.write_table(slot, TABLE, PROVENANCE)
    assert lake.is_current(slot, "mark")
    assert lake.verify(deep=True) == []
