"""What models took to train stands in the catalogue and in no artefact."""

import duckdb
import pytest

from gr2st_assets.lake import Lake
from gr2st_assets.manifest import Entry, Manifest
from gr2st_assets.model_costs import NAME, cost_facts, cost_rows
from gr2st_assets.readers import catalog_path, publish_shown
from gr2st_assets.records import Provenance
from gr2st_assets.tables import conform, table_spec
from gr2st_core.training.cost import Cost
from samples.small_lake import rows_of

RUN = {"cohort": "c", "fold": "patient-A", "panel": "p", "target": "per_spot", "seed": 0}
FACTS = {"model_id": "abc", "n_weights": 12, **cost_facts(Cost(2.5, 700.0), is_resumed=False)}


@pytest.fixture
def publish(tmp_path):
    """Publish a model of a method with these facts; its slot and what a manifest says of it."""
    lake = Lake(tmp_path / "lake")

    def publish(name, facts, rows=2):
        table = f"models/model_{name}"
        made = conform(table_spec(table), rows_of(table_spec(table), rows, fold_id="c/patient-A"))
        head = lake.write_table(lake.slot(table, **RUN), made, Provenance("", {}, "", "", "", "run", 0.0, facts))
        return head.slot, Entry(head.digest, "", lake.files(head.slot))

    publish.lake = lake
    return publish


def test_the_view_says_what_the_provenance_of_each_model_says(publish):
    shown = dict(publish(name, FACTS) for name in ("ridge_m224", "histogene_published_small"))
    publish_shown(publish.lake, Manifest(1, shown))
    with duckdb.connect(str(catalog_path(publish.lake)), read_only=True) as connection:
        rows = connection.sql(f"FROM {table_spec(NAME).view} ORDER BY method").df().to_dict("records")
    assert [(row["method"], row["profile"], row["setting"]) for row in rows] == [
        ("histogene", "published_small", "small"),
        ("ridge", "m224", "full"),
    ]
    for row in rows:
        assert (row["fold_id"], row["seed"], row["model_id"]) == ("c/patient-A", 0, "abc")
        assert (row["n_parameters"], row["fit_seconds"], row["peak_memory_mb"]) == (12, 2.5, 700.0)
        assert (row["device"], bool(row["is_resumed"])) == ("cpu", False)
        assert row["peak_gpu_memory_mb"] != row["peak_gpu_memory_mb"], "NULL without a GPU"


def test_equal_models_are_equal_artefacts_whatever_they_took(publish):
    (slot, first), (_, second) = publish("ridge_m224", FACTS), publish("ridge_m224", {**FACTS, "fit_seconds": 99.0})
    assert first == second
    assert cost_rows(publish.lake, {slot: first})[0]["fit_seconds"] == 99.0


def test_a_model_that_is_shown_while_a_newer_waits_has_no_row(publish):
    slot, shown = publish("ridge_m224", FACTS)
    publish("ridge_m224", FACTS, rows=3)
    assert cost_rows(publish.lake, {slot: shown}) == []


def test_other_tables_and_models_of_methods_that_are_gone_have_no_rows(publish):
    assert cost_rows(publish.lake, dict([publish("ridge_gone", FACTS)])) == []


def test_what_was_not_measured_is_not_said():
    assert set(cost_facts(Cost(1.0), is_resumed=True)) == {"fit_seconds", "device", "is_resumed"}
