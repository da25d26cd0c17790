"""Rows that fit any table, and a small lake with a catalogue over it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from gr2st_assets.catalog import build_catalog
from gr2st_assets.tables import Column, TableSpec, conform, table_spec

Rows = Callable[..., pd.DataFrame]


def _value(column: Column, i: int) -> object:
    low = column.minimum or 0
    return {
        "string": column.allowed[i % len(column.allowed)] if column.allowed else f"{column.name}-{i}",
        "bool": i % 2 == 0,
        "binary": bytes([i]),
        "list<float32>": [float(i), i + 0.5],
    }.get(column.type, low + (i if column.maximum is None else i / 100))


def _rows(spec: TableSpec, n_rows: int = 4, **values: object) -> pd.DataFrame:
    frame = pd.DataFrame({c.name: [_value(c, i) for i in range(n_rows)] for c in spec.columns})
    integers = {c.name: c.type for c in spec.columns if c.type.startswith("int")}
    return frame.astype(integers).assign(**values)


@pytest.fixture(scope="session")
def rows_of() -> Rows:
    """``rows_of(spec, n_rows, **columns)``: legal rows with distinct keys; given columns replace the made ones."""
    return _rows


class SmallLake:
    """Parquet files under a root and the catalogue that shows them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "lake"
        self.catalog = folder / "catalog.duckdb"
        self.manifest: dict[str, list[str]] = {}
        self.names: dict[str, object] = {}

    def add(self, name: str, frame: pd.DataFrame) -> Path:
        """Write one more file of a table and show it from the next ``build`` on."""
        files = self.manifest.setdefault(name, [])
        path = self.root / name / str(len(files)) / "data.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(conform(table_spec(name), frame), path)
        files.append(str(path))
        return path

    def build(self) -> Path:
        """Build the catalogue."""
        build_catalog(str(self.root), self.manifest, self.catalog)
        return self.catalog


@pytest.fixture(scope="session")
def lake_in() -> type[SmallLake]:
    """``lake_in(folder)``: an empty lake there."""
    return SmallLake


@pytest.fixture
def small_lake(tmp_path: Path) -> SmallLake:
    """Give an empty lake."""
    return SmallLake(tmp_path)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> SmallLake:
    """Give a lake with three slides, a file that no manifest names, and files outside; no test changes it.

    ``names`` has what statements in ``samples.sql_statements`` leave open.
    """
    folder = tmp_path_factory.mktemp("shown")
    lake, slides = SmallLake(folder), table_spec("raw/slides")
    lake.add("raw/slides", _rows(slides, 3))
    hidden = lake.add("raw/slides", _rows(slides, 1))
    lake.manifest["raw/slides"].remove(str(hidden))
    outside, link, evil = folder / "secret.csv", lake.root / "link.csv", folder / "lake_evil"
    outside.write_text("password\nhunter2\n")
    link.symlink_to(outside)
    evil.mkdir()
    shutil.copy(hidden, evil / "data.parquet")
    shutil.copy(lake.build(), lake.root / "catalog.duckdb")  # where the command looks for it
    lake.names = {
        "lake": lake.root, "file": lake.manifest["raw/slides"][0], "hidden": hidden, "catalog": lake.catalog,
        "outside": outside, "link": link, "evil": evil,
    }  # fmt: skip
    return lake
