"""What is registered is told to Dagster, whatever is killed or fails in between."""

import errno
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from gr2st_assets import ingest, register
from gr2st_assets.ingest import REGISTRATION, take_in
from gr2st_assets.inspection import Inspection
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import SECTIONS
from gr2st_assets.publish import CRASH_POINTS, TEMPORARY
from gr2st_assets.register import RegisteredCohort
from gr2st_core.cohorts.her2st import Her2stReader
from gr2st_core.errors import SchemaError
from gr2st_core.settings import Settings
from samples.cohorts import write_her2st
from samples.crashes import each_failure, is_killed

REGISTER = [f"{name}@_cohorts" for name in CRASH_POINTS if name.startswith("pointer")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "toy"
    for number, section in enumerate(("A1", "B1"), start=1):
        write_her2st(folder, section, number)
    return folder


@pytest.fixture(scope="module")
def new_instance(tmp_path_factory):
    """An instance of Dagster that knows nothing, to be copied: making one takes longer than all the rest."""
    folder = tmp_path_factory.mktemp("instance")
    dg.DagsterInstance.local_temp(str(folder)).dispose()
    return folder


class Home:
    """A lake and an instance, and a cohort of two sections to take in; ``contents`` is what inspection finds in it."""

    def __init__(self, folder, cohort):
        self.lake, self.instance = Lake(folder / "lake"), dg.DagsterInstance.local_temp(str(folder / "instance"))
        self.register = folder / "lake" / register.FOLDER
        self.entries = tuple(Her2stReader().entries("toy", cohort)[0])
        self.contents = {str(entry.key): {"counts": f"counts of {entry.key}"} for entry in self.entries}
        self.cohort = cohort

    def inspect(self, *_):
        cohort = RegisteredCohort("toy", self.cohort, "her2st", False, self.entries, self.contents)
        return Inspection(cohort, {}, [SchemaError("a fault of another section", section="toy/C1")])

    def take_in(self):
        take_in(self.lake, self.instance, "toy", self.cohort, Settings(), lambda *_: None)

    def told(self):
        """Contents of every registration that Dagster was told, oldest first."""
        records = self.instance.fetch_materializations(REGISTRATION, limit=100, ascending=True).records
        events = [record.asset_materialization for record in records]
        return [(event.partition, event.metadata["counts"].value) for event in events]

    def state(self):
        """Bytes of the register and of all that lies beside it, partitions, and what Dagster knows by now."""
        files = {path.name: path.read_bytes() for path in self.register.iterdir()}
        return files, self.instance.get_dynamic_partitions(SECTIONS.name), set(self.told())


@contextmanager
def _home(folder, cohort, new_instance):
    shutil.copytree(new_instance, folder / "instance")
    home = Home(folder, cohort)
    with home.instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR2ST_HOME", str(folder))
        patch.setattr(ingest, "inspect", home.inspect)
        yield home


@pytest.fixture
def home(tmp_path, folder, new_instance):
    with _home(tmp_path, folder, new_instance) as home:
        yield home


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, folder, new_instance):
    """State after an ingest that nobody disturbed."""
    with _home(tmp_path_factory.mktemp("undisturbed"), folder, new_instance) as home:
        home.take_in()
        return home.state()


def test_dagster_is_told_of_new_and_changed_sections_once(home):
    home.take_in()
    home.take_in()
    assert home.told() == [("toy/A1", "counts of toy/A1"), ("toy/B1", "counts of toy/B1")]
    home.contents["toy/B1"] = {"counts": "others"}
    home.take_in()
    assert home.told()[2:] == [("toy/B1", "others")]


@pytest.mark.parametrize("point", [*REGISTER, *ingest.CRASH_POINTS])
def test_an_ingest_killed_anywhere_is_completed_by_the_next_and_tells_no_more_after_it(home, undisturbed, point):
    assert is_killed(point, home.take_in)
    assert register.names(home.lake) == ([] if point.startswith("pointer.staged") else ["toy"])
    assert register.told_contents(home.lake, "toy") == {}
    home.take_in()
    home.lake.sweep(older_than_s=0)
    assert home.state() == undisturbed
    n_told = len(home.told())
    home.take_in()
    assert len(home.told()) == n_told


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_ingest_on_a_failing_disk_is_completed_by_the_next(home, undisturbed, call):
    for failed in each_failure(call, errno.ENOSPC, home.take_in):
        assert str(register.FOLDER) in str(failed.filename)
        assert not list(Path(home.lake.root.path).rglob(f"{TEMPORARY}*"))
        assert register.told_contents(home.lake, "toy") in ({}, home.contents)
    assert home.state() == undisturbed


@pytest.mark.parametrize("n_told", [0, 1])
def test_an_ingest_whose_dagster_fails_is_completed_by_the_next(home, undisturbed, monkeypatch, n_told):
    report, calls = dg.DagsterInstance.report_runless_asset_event, iter(range(n_told))

    def locked(self, event):
        if next(calls, None) is None:
            raise OSError(errno.EIO, "database is locked")
        report(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(dg.DagsterInstance, "report_runless_asset_event", locked)
        with pytest.raises(OSError, match="locked"):
            home.take_in()
    assert len(home.told()) == n_told
    home.take_in()
    assert home.state() == undisturbed


def test_what_came_back_after_a_removal_and_was_never_told_is_told(home):
    home.take_in()
    register.forget(home.lake, "toy", register.section_keys(home.lake, "toy"))
    assert is_killed("ingest.registered", home.take_in)
    assert len(home.told()) == 2
    home.take_in()
    assert len(home.told()) == 4


def test_a_register_of_an_older_version_counts_as_told(folder, tmp_path):
    lake, path = Lake(tmp_path), tmp_path / register.FOLDER / "toy.json"
    register.save(lake, RegisteredCohort("toy", folder, "her2st", False, (), {}))
    register.mark_told(lake, "toy")
    document = json.loads(path.read_bytes())
    assert document.pop("is_told")
    document["sections"] = [{"key": "toy/A1", "contents": {"counts": "c"}}]
    path.write_text(json.dumps(document))
    assert register.told_contents(lake, "toy") == {"toy/A1": {"counts": "c"}}
