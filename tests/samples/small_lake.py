"""Rows that fit any table, and parquet files with a catalogue over them, without a run."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from gr2st_assets.catalog import build_catalog
from gr2st_assets.tables import Column, TableSpec, conform, table_spec


def _value(column: Column, i: int) -> object:
    low = column.minimum or 0
    return {
        "string": column.allowed[i % len(column.allowed)] if column.allowed else f"{column.name}-{i}",
        "bool": i % 2 == 0,
        "binary": bytes([i]),
        "list<float32>": [float(i), i + 0.5],
    }.get(column.type, low + (i if column.maximum is None else i / 100))


def rows_of(spec: TableSpec, n_rows: int = 4, **values: object) -> pd.DataFrame:
    """Legal rows with distinct keys; given columns replace the made ones."""
    frame = pd.DataFrame({c.name: [_value(c, i) for i in range(n_rows)] for c in spec.columns})
    integers = {c.name: c.type for c in spec.columns if c.type.startswith("int")}
    return frame.astype(integers).assign(**values)


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
