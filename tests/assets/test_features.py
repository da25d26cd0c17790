"""Which partitions Dagster asks for by itself when a section comes in, changes, or is made."""

import dagster as dg
import pytest

from gr2st_assets.definitions import defs
from gr2st_assets.features import FOLD_TABLE
from gr2st_assets.ingest import REGISTRATION
from gr2st_assets.partitions import SECTIONS

OLD = [f"many/A{number}" for number in range(30)]
NEW = "many/B1"


def section_tables():
    """What a section has by itself; what champions predict of it is made after them."""
    graph = defs.resolve_asset_graph()
    return [
        key
        for key in graph.executable_asset_keys
        if getattr(graph.get(key).partitions_def, "name", "") == SECTIONS.name and key.path[0] != "serving"
    ]


def tell(instance, keys, partitions):
    for key in keys:
        for partition in partitions:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


class Daemon:
    """The automation conditions, evaluated as the daemon does, one tick after the other."""

    def __init__(self, instance):
        self.instance, self.cursor = instance, None

    def tick(self):
        """Partitions asked for, by asset."""
        result = dg.evaluate_automation_conditions(defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        found = {key: result.get_requested_partitions(key) for key in [*section_tables(), FOLD_TABLE]}
        return {key: partitions for key, partitions in found.items() if partitions}


@pytest.fixture
def daemon():
    """Thirty sections are registered and made, and so is the fold table."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(SECTIONS.name, OLD)
        tell(instance, [REGISTRATION, *section_tables()], OLD)
        instance.report_runless_asset_event(dg.AssetMaterialization(FOLD_TABLE))
        daemon = Daemon(instance)
        daemon.tick()
        yield daemon


def test_nothing_is_asked_for_while_nothing_changes(daemon):
    assert daemon.tick() == {}


def test_a_new_section_asks_for_its_own_tables_and_then_for_the_fold_table(daemon):
    daemon.instance.add_dynamic_partitions(SECTIONS.name, [NEW])
    tell(daemon.instance, [REGISTRATION], [NEW])
    asked = daemon.tick()
    assert asked == {key: {NEW} for key in section_tables()}
    tell(daemon.instance, section_tables(), [NEW])
    assert daemon.tick() == {FOLD_TABLE: {None}}


def test_a_section_whose_files_changed_is_made_again_alone(daemon):
    tell(daemon.instance, [REGISTRATION], [OLD[3]])
    asked = daemon.tick()
    assert asked[dg.AssetKey(["raw", "slides"])] == {OLD[3]}
    assert {partition for partitions in asked.values() for partition in partitions} == {OLD[3]}


def test_training_is_never_asked_for(daemon):
    graph = defs.resolve_asset_graph()
    asking = {key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition is not None}
    assert asking == {*section_tables(), FOLD_TABLE}
