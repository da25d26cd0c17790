"""Rows that fit any table, and a small lake with a catalogue over it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gr2st_assets.tables import table_spec
from samples import small_lake as samples

Rows = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def rows_of() -> Rows:
    """``rows_of(spec, n_rows, **columns)``: legal rows with distinct keys; given columns replace the made ones."""
    return samples.rows_of


@pytest.fixture(scope="session")
def lake_in() -> type[samples.SmallLake]:
    """``lake_in(folder)``: an empty lake there."""
    return samples.SmallLake


@pytest.fixture
def small_lake(tmp_path: Path) -> samples.SmallLake:
    """Give an empty lake."""
    return samples.SmallLake(tmp_path)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> samples.SmallLake:
    """Give a lake with three slides, a file that no manifest names, and files outside; no test changes it.

    ``names`` has what statements in ``samples.sql_statements`` leave open.
    """
    folder = tmp_path_factory.mktemp("shown")
    lake, slides = samples.SmallLake(folder), table_spec("raw/slides")
    lake.add("raw/slides", samples.rows_of(slides, 3))
    hidden = lake.add("raw/slides", samples.rows_of(slides, 1))
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
