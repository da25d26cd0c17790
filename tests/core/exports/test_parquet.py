"""The tables of a predicted slide say what it says, in types that other programs read."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from gr2st_core.exports import parquet
from gr2st_core.exports.parquet import PREDICTION_COLUMNS, PREDICTIONS, SPOT_COLUMNS, SPOTS, write_parquet
from samples.predicted_slides import SUPPORT, bare_slide, predicted_slide

SLIDE = predicted_slide()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parquet") / "A1"
    write_parquet(SLIDE, path)
    return path


def test_every_value_stands_with_its_spot_and_gene(folder: Path) -> None:
    rows = pl.read_parquet(folder / PREDICTIONS).rows()
    assert SLIDE.intervals is not None
    expected = []
    for s, spot in enumerate(SLIDE.section.spot_ids):
        for g, gene in enumerate(SLIDE.genes):
            low, high = (float(end[s, g]) for end in (SLIDE.intervals.lower, SLIDE.intervals.upper))
            ends = (None, None) if np.isnan(low) else (low, high)
            expected.append(("A1", spot, gene, float(SLIDE.prediction.values[s, g]), *ends, SUPPORT[g]))
    assert rows == expected


def test_every_spot_stands_with_what_is_known_of_it(folder: Path) -> None:
    table = pl.read_parquet(folder / SPOTS)
    section = SLIDE.section
    assert table["spot_id"].to_list() == section.spot_ids.tolist()
    np.testing.assert_array_equal(table.select("pixel_x", "pixel_y").to_numpy(), section.pixel_xy)
    np.testing.assert_array_equal(table.select("array_col", "array_row").to_numpy(), section.array_xy)
    np.testing.assert_array_equal(table["ood_distance"].to_numpy(), SLIDE.ood_distance)
    np.testing.assert_array_equal(table["ood_quantile"].to_numpy(), SLIDE.ood_quantile)
    assert SLIDE.is_unusual is not None
    assert SLIDE.reference_spots is not None
    assert SLIDE.regions is not None
    assert table["is_unusual"].to_list() == SLIDE.is_unusual.tolist()
    assert table["reference_spots"].to_list() == SLIDE.reference_spots.tolist()
    assert table["region"].to_list() == [label or None for label in SLIDE.regions.tolist()]


def test_polars_and_pandas_read_the_documented_types(folder: Path) -> None:
    of_polars = {"string": pl.String, "float": pl.Float32, "double": pl.Float64, "bool": pl.Boolean}
    of_pandas = {"string": "object", "float": "float32", "double": "float64", "bool": "bool", "list": "object"}
    for file, columns in ((PREDICTIONS, PREDICTION_COLUMNS), (SPOTS, SPOT_COLUMNS)):
        kinds = {name: kind for name, kind, *_ in columns}
        schema = pl.read_parquet_schema(folder / file)
        assert dict(schema) == {name: of_polars.get(kind, pl.List(pl.String)) for name, kind in kinds.items()}
        dtypes = pd.read_parquet(folder / file).dtypes.astype(str).to_dict()
        assert dtypes == {name: of_pandas[kind] for name, kind in kinds.items()}


def test_columns_carry_their_meaning_and_tables_their_provenance(folder: Path) -> None:
    for file, columns in ((PREDICTIONS, PREDICTION_COLUMNS), (SPOTS, SPOT_COLUMNS)):
        schema = pq.read_schema(folder / file)
        for name, _, nullable, meaning, unit in columns:
            field = schema.field(name)
            assert field.metadata == {b"description": meaning.encode(), b"unit": unit.encode()}
            assert field.nullable == nullable
        assert json.loads(schema.metadata[b"gr2st"]) == json.loads(SLIDE.document)


def test_what_is_not_known_is_null_and_keeps_its_type(folder: Path, tmp_path: Path) -> None:
    write_parquet(bare_slide(), tmp_path)
    for file, unknown in (
        (PREDICTIONS, ["lower", "upper"]),
        (SPOTS, ["ood_distance", "ood_quantile", "is_unusual", "reference_spots", "region"]),
    ):
        table = pl.read_parquet(tmp_path / file)
        assert table.schema == pl.read_parquet_schema(folder / file)
        assert {name for name in table.columns if table[name].null_count()} == set(unknown)
        assert all(table[name].null_count() == len(table) for name in unknown)
    assert set(pl.read_parquet(tmp_path / PREDICTIONS)["support"]) == {"none"}


def test_equal_slides_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_parquet(predicted_slide(), tmp_path)
    for file in (PREDICTIONS, SPOTS):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_large_slides_are_written_block_by_block(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 4 * len(SLIDE.genes) + 1)  # blocks of four spots, the last one of two
    write_parquet(SLIDE, tmp_path)
    metadata = pq.read_metadata(tmp_path / PREDICTIONS)
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [20] * 7 + [10]
    assert pl.read_parquet(tmp_path / PREDICTIONS).equals(pl.read_parquet(folder / PREDICTIONS))
