"""The loop that every asset goes through: skip, check before publishing, go on past a bad partition."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from gr2st_assets.checks.rows import CheckRow
from gr2st_assets.lake import Lake
from gr2st_assets.slots import section_slot
from gr2st_assets.steps import Plan, Product, Recipe, is_current, run_step
from gr2st_assets.tables import table_spec
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey

NAME = "graphs/spatial_graph"
KEYS = ["c/A1", "c/A2", "c/B1"]
PARTITIONS = dg.DynamicPartitionsDefinition(name="sections")
RECIPE = Recipe(table_spec(NAME), "code", "settings", ("contract", "graph_degrees"))
EDGES = {"source_spot_id": ["1x1"], "target_spot_id": ["1x1"], "distance_pitches": [0.0]}


class Runs:
    """One asset over three sections whose products a test can change."""

    def __init__(self, root) -> None:
        self.lake = Lake(root)
        self.instance = dg.DagsterInstance.ephemeral()
        self.instance.add_dynamic_partitions("sections", KEYS)
        self.computed: list[str] = []
        self.distance = 0.0
        self.inputs = "v1"
        self.generation = "g1"
        self.missing: set[str] = set()
        self.findings: dict[str, CheckRow] = {}

    def plan(self, key: str) -> Plan:
        section = SectionKey.parse(key)
        if key in self.missing:
            raise MissingArtifactError("no input", section=key)

        def compute() -> Product:
            self.computed.append(key)
            frame = pd.DataFrame({"cohort": section.cohort, "section_id": section.section_id, **EDGES})
            findings = [self.findings[key]] if key in self.findings else []
            return Product(frame.assign(distance_pitches=self.distance), {"n": 1}, b"png", findings)

        return Plan(section_slot(self.lake, NAME, section), {"raw": self.inputs}, compute, self.generation)

    def run(self) -> dg.ExecuteInProcessResult:
        runs = self

        @dg.asset(
            key=NAME.split("/"),
            partitions_def=PARTITIONS,
            backfill_policy=dg.BackfillPolicy.single_run(),
            output_required=False,
            check_specs=[
                dg.AssetCheckSpec(name, asset=dg.AssetKey(NAME.split("/")), blocking=True)
                for name in ("contract", "graph_degrees")
            ],
        )
        def asset(context: dg.AssetExecutionContext) -> Iterator[Any]:
            plans = ((key, lambda key=key: runs.plan(key)) for key in context.partition_keys)
            yield from run_step(context, runs.lake, RECIPE, plans)

        tags = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
        return dg.materialize([asset], instance=self.instance, tags=tags, raise_on_error=False)

    def materialized(self) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey(NAME.split("/")))


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "lake")


def metadata_of(result: dg.ExecuteInProcessResult) -> list[dict]:
    return [e.event_specific_data.materialization.metadata for e in result.get_asset_materialization_events()]


def test_each_partition_is_published_once_and_not_computed_again(runs):
    first = runs.run()
    assert first.success
    assert runs.computed == KEYS
    assert [m["reused"].value for m in metadata_of(first)] == [False] * 3
    second = runs.run()
    assert second.success
    assert runs.computed == KEYS
    assert [m["reused"].value for m in metadata_of(second)] == [True] * 3
    assert "data:image/png;base64" in metadata_of(second)[0]["picture"].value


def test_a_changed_input_is_computed_again(runs):
    runs.run()
    runs.inputs = "v2"
    runs.run()
    assert runs.computed == KEYS * 2


def test_what_is_made_already_joins_the_generation_of_the_others_and_is_not_computed_again(runs):
    runs.run()
    plan = runs.plan(KEYS[0])
    before = runs.lake.require_head(plan.slot)
    runs.generation = "g2"
    assert not is_current(runs.lake, RECIPE, runs.plan(KEYS[0]))
    assert runs.run().success
    assert runs.computed == KEYS
    assert is_current(runs.lake, RECIPE, runs.plan(KEYS[0]))
    after = runs.lake.require_head(plan.slot)
    assert after == replace(before, provenance=replace(before.provenance, generation="g2"))
    assert {runs.lake.require_head(slot).provenance.generation for slot in runs.lake.slots()} == {"g2"}


def test_a_damaged_artefact_is_computed_again(runs):
    runs.run()
    folder = runs.lake.folder(section_slot(runs.lake, NAME, SectionKey.parse(KEYS[1])))
    (folder / "data.parquet").write_bytes(b"short")
    runs.run()
    assert runs.computed == [*KEYS, KEYS[1]]
    assert runs.lake.verify(deep=True) == []


def test_a_bad_partition_does_not_cost_the_others(runs):
    runs.missing = {"c/A2"}
    result = runs.run()
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    metadata = failure.step_failure_data.user_failure_data.metadata
    assert metadata["failed_partitions"].value == ["c/A2"]
    assert "no input" in failure.step_failure_data.user_failure_data.description
    assert runs.materialized() == {"c/A1", "c/B1"}


def test_a_product_that_breaks_its_contract_is_not_published(runs):
    runs.run()
    before = [runs.lake.require_head(slot) for slot in runs.lake.slots(NAME)]
    runs.inputs, runs.distance = "v2", -1.0
    result = runs.run()
    assert not result.success
    assert [runs.lake.require_head(slot) for slot in runs.lake.slots(NAME)] == before
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not evaluations["contract"].passed
    assert evaluations["contract"].severity == dg.AssetCheckSeverity.ERROR


def test_a_warning_is_reported_and_published(runs):
    runs.findings["c/A1"] = CheckRow("graph_degrees", "degrees are even", False, "warning", False, 1, '{"n": 1}')
    result = runs.run()
    assert result.success
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not evaluations["graph_degrees"].passed
    assert evaluations["graph_degrees"].severity == dg.AssetCheckSeverity.WARN
    rows = runs.lake.read_table(runs.lake.slots("checks/graphs__spatial_graph")[0]).to_pylist()
    assert [row["partition_key"] for row in rows if row["check_name"] == "graph_degrees"] == ["c/A1"]


def test_a_product_that_fails_a_blocking_rule_is_not_published_and_the_check_says_so(runs):
    runs.run()
    before = [runs.lake.require_head(slot) for slot in runs.lake.slots(NAME)]
    runs.inputs = "v2"
    runs.findings["c/A1"] = CheckRow("graph_degrees", "every spot has rows", False, "critical", True, 1, '{"n": 1}')
    result = runs.run()
    assert not result.success
    assert runs.lake.require_head(section_slot(runs.lake, NAME, SectionKey.parse("c/A1"))) == before[0]
    assert runs.lake.require_head(section_slot(runs.lake, NAME, SectionKey.parse("c/B1"))) != before[2]
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not evaluations["graph_degrees"].passed
