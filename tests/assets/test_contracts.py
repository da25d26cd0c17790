"""Contracts accept what tables promise and report everything else, with counts and examples."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gr2st_assets.checks.contracts import check_contract, contract_suite
from gr2st_assets.checks.rows import CheckRow
from gr2st_assets.tables import TABLES, Column, TableSpec, conform, table_spec

SPEC = TableSpec(
    "test/t",
    "t",
    ("spot_id", "gene"),
    (
        Column("spot_id", "string", "spot"),
        Column("gene", "string", "gene"),
        Column("role", "string", "role", allowed=("train", "test")),
        Column("count", "int64", "count", minimum=0, maximum=9),
        Column("span", "float64", "span", minimum=1, severity="warning"),
        Column("score", "float64", "score", nullable=True, maximum=1),
    ),
    unique=(("count",),),
)


def rows(**columns: object) -> pd.DataFrame:
    made = {"spot_id": ["a", "a", "b"], "gene": ["x", "y", "x"], "role": ["train", "test", "test"], "count": [0, 1, 9]}
    return pd.DataFrame({**made, "span": [1.0, 2.0, 3.0], "score": [0.5, np.nan, 1.0]}).assign(**columns)


def failures(spec: TableSpec, frame: pa.Table | pd.DataFrame) -> dict[str, CheckRow]:
    return {row.expectation: row for row in check_contract(spec, frame) if not row.passed}


def broken_value(column: Column) -> object:
    if column.allowed:
        return "none of these"
    return column.minimum - 1 if column.minimum is not None else column.maximum + 1


@pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
def test_rows_that_fit_a_table_keep_its_contract(spec, rows_of):
    assert failures(spec, conform(spec, rows_of(spec, 5))) == {}


def test_a_table_may_be_checked_as_a_frame(rows_of):
    spec = TABLES["raw/spots"]
    assert (
        failures(spec, conform(spec, rows_of(spec, 5, is_on_tissue=[True, None, None, False, True])).to_pandas()) == {}
    )


@pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
def test_each_rule_about_values_fails_when_it_is_broken(spec, rows_of):
    frame = rows_of(spec, 6)
    expected = set()
    for column in spec.columns:
        if column.allowed or column.minimum is not None or column.maximum is not None:
            frame[column.name] = frame[column.name].astype(object)
            frame.at[0, column.name] = broken_value(column)
            expected.add((column.name, "range", 1))
        if not column.nullable:
            frame[column.name] = frame[column.name].astype(object)
            frame.at[1, column.name] = None
            expected.add((column.name, "no missing value", 1))
    found = set()
    for name, row in failures(spec, frame).items():
        column, _, rule = name.partition(": ")
        kind = "range" if rule.startswith((">=", "<=", "one of")) else rule
        found.add((column, kind, row.n_found))
    assert expected <= found


@pytest.mark.parametrize("spec", TABLES.values(), ids=lambda spec: spec.name)
def test_each_type_and_key_fails_when_it_is_broken(spec, rows_of):
    frame = rows_of(spec, 3).iloc[[0, 1, 2, 2]]
    wrong = frame.assign(**{c.name: 1.5 if c.type in ("string", "bool", "binary") else "text" for c in spec.columns})
    checked = {f"{c.name}: {c.type}" for c in spec.columns if c.type != "list<float32>"}
    assert checked <= failures(spec, wrong).keys()
    keys = {f"unique: {', '.join(names)}" for names in (spec.key, *spec.unique)}
    repeated = failures(spec, frame.drop(columns=[c.name for c in spec.columns if c.type == "list<float32>"]))
    assert keys <= repeated.keys()
    assert {repeated[key].n_found for key in keys} == {2}


def test_a_broken_contract_says_how_often_and_shows_examples():
    found = failures(SPEC, rows(role=["train", "valid", "valid"], span=[1.0, 0.5, 0.2], spot_id=["a", "a", None]))
    assert found.keys() == {"role: one of train, test", "span: >= 1", "spot_id: no missing value"}
    role, span = found["role: one of train, test"], found["span: >= 1"]
    assert (role.check_name, role.severity, role.is_blocking, role.n_found) == ("contract", "critical", True, 2)
    assert json.loads(role.found) == {"examples": ["valid", "valid"]}
    assert (span.severity, span.is_blocking, json.loads(span.found)) == ("warning", False, {"examples": [0.5, 0.2]})


def test_a_warning_never_blocks_and_a_pass_shows_nothing():
    found = check_contract(SPEC, rows())
    assert all(row.passed and row.found == "{}" for row in found)
    assert {row.expectation for row in found if not row.is_blocking} == {"span: >= 1"}


def test_a_missing_or_misplaced_column_breaks_the_contract():
    missing = failures(SPEC, rows().drop(columns="gene"))
    assert "columns in order" in missing
    assert "does not exist" in json.loads(missing["gene: no missing value"].found)["error"]
    assert failures(SPEC, rows()[["gene", "spot_id", "role", "count", "span", "score"]]).keys() == {"columns in order"}
    assert "columns in order" in failures(SPEC, rows(extra=1))


def test_null_is_legal_only_where_the_table_says_so():
    assert failures(SPEC, rows(score=np.nan)) == {}
    assert failures(SPEC, rows(span=np.nan)).keys() == {"span: no missing value"}


def test_a_whole_number_with_null_keeps_its_type(rows_of):
    spec = TABLES["catalog/check_results"]
    table = conform(spec, rows_of(spec, 3, n_found=pd.array([1, None, 2**60 + 1], dtype="Int64")))
    assert failures(spec, table) == {}


def test_no_rows_keep_every_contract(rows_of):
    spec = TABLES["evaluation/gene_scores"]
    assert failures(spec, conform(spec, rows_of(spec, 1).iloc[:0])) == {}


def test_rows_of_check_results_fit_their_own_table():
    spec = TABLES["catalog/check_results"]
    frame = pd.DataFrame(
        [{name: getattr(row, name) for name in spec.column_names} for row in check_contract(SPEC, rows())]
    )
    assert len(conform(spec, frame.astype({"n_found": "Int64"}))) == len(contract_suite(SPEC).expectations)


def test_expectations_come_in_the_order_of_the_suite_and_nothing_is_sent():
    found = [row.expectation for row in check_contract(SPEC, rows())]
    assert found == [expectation.description for expectation in contract_suite(SPEC).expectations]
    assert found[:3] == ["columns in order", "unique: spot_id, gene", "unique: count"]
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_one_missing_value_is_found_among_two_hundred_thousand(rows_of):
    spec = table_spec("predictions/predictions_ridge_m224")
    spots, genes = np.divmod(np.arange(255 * 785), 785)
    frame = rows_of(spec, 1).loc[np.zeros(len(spots), dtype=int)].reset_index(drop=True)
    frame = frame.assign(spot_id=np.char.add("s", spots.astype(str)), gene=np.char.add("G", genes.astype(str)))
    frame = conform(spec, frame).to_pandas()
    frame.loc[7, "predicted"] = np.nan
    found = failures(spec, frame)
    assert {name: row.n_found for name, row in found.items()} == {"predicted: no missing value": 1}
