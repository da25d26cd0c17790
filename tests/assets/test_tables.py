"""Tables describe themselves, and only rows that fit get through ``conform``."""

import subprocess
import sys
from typing import get_args

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr2st_assets.tables import TABLES, Column, TableSpec, arrow_schema, conform, dagster_schema, table_spec
from gr2st_core.drift.distances import DISTANCES
from gr2st_core.drift.samples import LeftOut
from gr2st_core.errors import SchemaError
from gr2st_core.evaluation.published import EVIDENCE, STATISTICS
from gr2st_core.keys import TARGETS, CellSource, SplitUnit

SCORES = TableSpec(
    "test/scores",
    "scores",
    ("spot_id", "gene"),
    (
        Column("spot_id", "string", "spot"),
        Column("gene", "string", "gene"),
        Column("count", "int32", "molecules", "molecules", minimum=0),
        Column("pearson", "float64", "score", nullable=True),
        Column("weight", "float32", "weight"),
    ),
    unique=(("count",),),
)


def scores(**columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"spot_id": ["b", "a", "a"], "gene": ["x", "y", "x"], "count": [3, 2, 1], "weight": 1.0})
    return frame.assign(pearson=[0.5, np.nan, 0.1]).assign(**columns)


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
def test_a_table_survives_parquet_and_does_not_depend_on_row_order(spec, rows_of, tmp_path):
    frame = rows_of(spec, 7)
    table = conform(spec, frame)
    pq.write_table(table, tmp_path / "data.parquet")
    stored = pq.read_table(tmp_path / "data.parquet")
    assert stored.schema.equals(arrow_schema(spec), check_metadata=True)
    assert stored.equals(table)
    shuffled = conform(spec, frame.sample(frac=1, random_state=0)[frame.columns[::-1]])
    assert parquet_bytes(shuffled) == parquet_bytes(table)
    assert conform(spec, stored).equals(table)


@pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
def test_a_table_is_described_and_keyed_by_columns_that_are_never_null(spec):
    columns = {column.name: column for column in spec.columns}
    assert len(columns) == len(spec.columns)
    assert all(column.description for column in spec.columns)
    assert spec.description
    assert not any(columns[name].nullable for names in (spec.key, *spec.unique) for name in names)
    assert not any(column.nullable for name, column in columns.items() if name.endswith("_id") and name != "model_id")


def test_the_same_name_means_the_same_type_and_unit_in_every_table():
    meanings = {}
    for spec in TABLES.values():
        for column in spec.columns:
            if column.name != "weight":  # an edge has one, a prediction has one
                meanings.setdefault(column.name, set()).add((column.type, column.unit))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_no_column_name_needs_quotes_in_sql():
    names = {name for spec in TABLES.values() for name in spec.column_names}
    for name in names:
        query = f"WITH t AS (SELECT 1 AS {name}) SELECT {name}, t.{name} FROM t ORDER BY {name}"  # noqa: S608 (a test)
        assert duckdb.sql(query).fetchall() == [(1, 1)]


def test_legal_values_are_those_of_the_core():
    columns = {column.name: column for spec in TABLES.values() for column in spec.columns}
    assert columns["target"].allowed == TARGETS
    assert columns["split_unit"].allowed == get_args(SplitUnit)
    assert columns["source"].allowed == get_args(CellSource)
    assert columns["statistic"].allowed == STATISTICS
    assert columns["measure"].allowed == tuple(DISTANCES)
    assert columns["left_out"].allowed == get_args(LeftOut)
    assert columns["evidence"].allowed == EVIDENCE


def test_rows_are_sorted_by_key_and_undefined_scores_become_null():
    table = conform(SCORES, scores())
    assert table.select(["spot_id", "gene"]).to_pylist() == [
        {"spot_id": "a", "gene": "x"},
        {"spot_id": "a", "gene": "y"},
        {"spot_id": "b", "gene": "x"},
    ]
    assert table.column("pearson").to_pylist() == [0.1, None, 0.5]
    assert table.column("weight").type == pa.float32()
    assert table.column("count").type == pa.int32()


def test_order_is_that_of_bytes_and_of_numbers():
    spec = TableSpec("test/t", "t", ("name", "n"), (Column("name", "string", "n"), Column("n", "int64", "n")))
    table = conform(spec, pd.DataFrame({"name": ["é", "z", "a", "Z", "a"], "n": [1, 1, 10, 1, 9]}))
    assert table.to_pydict() == {"name": ["Z", "a", "a", "z", "é"], "n": [1, 9, 10, 1, 1]}


def test_text_as_categories_and_whole_floats_fit():
    table = conform(SCORES, scores(gene=pd.Categorical(["x", "y", "x"]), count=[3.0, 2.0, 1.0], weight=[1, 2, 3]))
    assert table.column("gene").type == pa.string()
    assert table.column("count").to_pylist() == [1, 2, 3]


def test_every_fault_is_listed_at_once():
    frame = scores(count=[1.5, 2, 3], weight=[1.0, np.inf, 1.0], spot_id=["a", None, "b"], extra=1).drop(columns="gene")
    with pytest.raises(SchemaError) as caught:
        conform(SCORES, frame)
    assert caught.value.context["table"] == "test/scores"
    assert caught.value.context["found"] == 5
    for fault in ("gene is missing", "extra is unknown", "count is not int32", "1 infinite", "spot_id has 1 missing"):
        assert fault in caught.value.message


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"spot_id": [1, 2, 3]}, "spot_id is int64, expected string"),
        ({"gene": ["x", 1, "y"]}, "a column mixes types"),
        ({"weight": ["1", "2", "3"]}, "weight is string, expected float32"),
        ({"count": [True, False, True]}, "count is bool, expected int32"),
        ({"weight": [1.0, np.nan, 1.0]}, "weight has 1 missing values"),
        ({"pearson": [1.0, np.inf, 1.0]}, "pearson has 1 infinite values"),
        ({"count": [1, 2, 2**40]}, "count is not int32"),
        ({"gene": ["x", "x", "x"]}, "1 rows repeat the key"),
        ({"count": [1, 1, 1]}, "2 rows repeat ('count',)"),
    ],
)
def test_rows_that_would_lose_information_are_refused(columns, fault):
    with pytest.raises(SchemaError) as caught:
        conform(SCORES, scores(**columns))
    assert fault in caught.value.message


def test_an_embedding_with_nan_is_refused(rows_of):
    spec = table_spec("image/embeddings_color_texture")
    with pytest.raises(SchemaError, match="embedding has 1 missing numbers"):
        conform(spec, rows_of(spec, 2, embedding=[[1.0, 2.0], [np.nan, 2.0]]))


def test_no_rows_are_a_table_too(rows_of):
    for spec in TABLES.values():
        table = conform(spec, rows_of(spec, 3).iloc[:0])
        assert len(table) == 0
        assert table.schema.equals(arrow_schema(spec))


def test_facts_stay_with_the_schema(rows_of):
    spec = TABLES["raw/counts"]
    table = conform(spec, rows_of(spec), metadata={"genes": '["A", "B"]'})
    assert table.schema.metadata[b"genes"] == b'["A", "B"]'
    assert conform(spec, table).schema.metadata[b"genes"] == b'["A", "B"]'
    assert b"pandas" not in table.schema.metadata


def test_a_family_member_has_the_columns_of_the_family_under_its_own_name():
    spec = table_spec("predictions/predictions_ridge_m224")
    assert spec.view == "predictions_ridge_m224"
    assert spec.columns == TABLES["predictions/predictions_<predictor>"].columns


@pytest.mark.parametrize(
    "name", ["raw/none", "predictions/predictions_", "predictions/predictions_A", "image/embeddings_a/b"]
)
def test_an_unknown_table_is_refused_with_the_names_there_are(name):
    with pytest.raises(SchemaError) as caught:
        table_spec(name)
    assert caught.value.context["table"] == name
    assert "raw/slides" in caught.value.context["expected"]


def test_dagster_shows_types_units_and_rules():
    schema = dagster_schema(TABLES["raw/spots"])
    total = next(column for column in schema.columns if column.name == "total_count")
    assert (total.type, total.description) == ("int64", "molecules over all genes [molecules]")
    assert (total.constraints.nullable, total.constraints.other) == (False, [">= 0"])
    assert schema.constraints.other == ["unique: cohort, section_id, spot_id"]


def test_describing_tables_loads_nothing_heavy():
    heavy = "{'pandas', 'pyarrow', 'duckdb', 'numpy', 'torch', 'great_expectations'}"
    ours = "gr2st_assets.tables, gr2st_assets.catalog, gr2st_assets.sql, gr2st_assets.checks.contracts"
    code = f"import sys, {ours}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
