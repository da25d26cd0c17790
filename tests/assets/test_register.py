"""The register of cohorts."""

import shutil
from dataclasses import replace

import dagster as dg
import duckdb
import pytest

from gr2st_assets import ingest, register
from gr2st_assets.assets.quarantine import show_refused
from gr2st_assets.ingest import take_in
from gr2st_assets.inspection import Inspection, inspect
from gr2st_assets.lake import Lake
from gr2st_assets.partitions import SECTIONS
from gr2st_assets.readers import catalog_path
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError
from gr2st_core.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort") / "tiny"
    make_synthetic_cohort(folder, n_patients=2, sections_per_patient=1)
    return folder


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    """What inspection finds in the folder."""
    return inspect(Lake(tmp_path_factory.mktemp("empty")), "tiny", folder, Settings(), quiet, {})


class Home:
    """A lake and an instance that take in what they are told was found."""

    def __init__(self, lake, instance, patch):
        self.lake, self.instance, self._patch = lake, instance, patch

    def take_in(self, found, meanwhile=lambda: None, **options):
        """Take in ``found``; ``meanwhile`` is done while it is inspected."""

        def inspected(*_):
            meanwhile()
            return found

        self._patch.setattr(ingest, "inspect", inspected)
        cohort = found.cohort
        return take_in(self.lake, self.instance, cohort.name, cohort.folder, Settings(), quiet, **options)

    def partitions(self):
        return self.instance.get_dynamic_partitions(SECTIONS.name)

    def refused(self):
        """What readers are shown of refused sections."""
        show_refused(self.lake, self.instance)
        with duckdb.connect(str(catalog_path(self.lake)), read_only=True) as connection:
            return connection.execute("select cohort, section, message from quarantine").fetchall()


@pytest.fixture
def home(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Home(lake, instance, monkeypatch)


def quiet(*_):
    pass


def test_a_saved_cohort_is_loaded_alike(folder, lake):
    found = inspect(lake, "tiny", folder, Settings(), quiet, {})
    cohort = found.cohort
    assert found.faults == []
    assert {tuple(contents) for contents in cohort.contents.values()} == {("counts", "image", "entry")}
    register.save(lake, cohort)
    assert register.names(lake) == ["tiny"]
    assert register.load(lake, "tiny") == cohort
    assert [str(key) for key in register.section_keys(lake, "tiny")] == ["tiny/A1", "tiny/B1"]
    assert not register.is_synthetic(lake, "tiny")


def test_a_gone_folder_is_said_and_its_sections_stay_known(folder, lake, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    register.save(lake, inspect(lake, "tiny", moved, Settings(), quiet, {}).cohort)
    shutil.rmtree(moved)
    with pytest.raises(MissingArtifactError, match="folder is gone"):
        register.load(lake, "tiny")
    assert len(register.section_keys(lake, "tiny")) == 2


def test_the_name_of_external_folds_is_refused(folder, lake):
    with pytest.raises(SchemaError, match="kept for folds"):
        inspect(lake, "external", folder, Settings(), quiet, {})


def test_a_damaged_register_names_its_file(lake):
    (lake.root / "_cohorts").mkdir(parents=True)
    (lake.root / "_cohorts" / "tiny.json").write_text("{")
    with pytest.raises(DataError) as error:
        register.section_keys(lake, "tiny")
    assert "tiny.json" in str(error.value.context["file"])


def test_an_unknown_cohort_is_refused_with_the_known_ones(lake):
    with pytest.raises(MissingArtifactError, match="no such cohort"):
        register.load(lake, "nobody")


def test_a_cohort_stays_what_it_is_known_to_be(found, home, tmp_path):
    home.take_in(found, is_from_inbox=True)
    home.take_in(found)
    assert register.is_from_inbox(home.lake, "tiny")
    assert register.is_synthetic(home.lake, "tiny")
    empty = replace(found.cohort, folder=tmp_path, entries=(), contents={})
    home.take_in(Inspection(empty, {}, []))
    assert not register.is_from_inbox(home.lake, "tiny")
    assert not register.is_synthetic(home.lake, "tiny")


def test_a_fault_of_the_folder_leaves_what_is_registered_and_is_shown(found, home):
    home.take_in(found)
    broken = replace(found.cohort, entries=(), contents={})
    home.take_in(Inspection(broken, {}, [SchemaError("a cohort file has a wrong entry", field="pitch")]))
    assert home.partitions() == ["tiny/A1", "tiny/B1"]
    assert register.load(home.lake, "tiny").entries == found.cohort.entries
    assert [fault["field"] for fault in register.faults(home.lake, "tiny")] == ["pitch"]
    home.take_in(Inspection(broken, {}, [SchemaError("a section is damaged", section="tiny/A1")]))
    assert home.partitions() == []


def test_readers_are_shown_what_was_refused_and_then_no_more(found, home):
    home.take_in(replace(found, faults=[SchemaError("a section is damaged", section="tiny/C1")]))
    assert home.refused() == [("tiny", "C1", "a section is damaged")]
    home.take_in(found)
    assert home.refused() == []


def test_nothing_is_shown_where_nothing_was_refused(found, home):
    home.take_in(found)
    show_refused(home.lake, home.instance)
    assert not catalog_path(home.lake).exists()


def test_a_cohort_registered_meanwhile_is_seen_and_keeps_its_partitions(found, home):
    def renamed(entry):
        return replace(entry, key=replace(entry.key, cohort="first"))

    entries = tuple(renamed(entry) for entry in found.cohort.entries)
    contents = {str(renamed(entry).key): found.cohort.contents[str(entry.key)] for entry in found.cohort.entries}
    first = replace(found.cohort, name="first", entries=entries, contents=contents)
    late = home.take_in(found, meanwhile=lambda: home.take_in(Inspection(first, {}, [])))
    assert late.cohort.entries == ()
    assert {fault.context["found"] for fault in late.faults} >= {"the same counts as first/A1"}
    assert home.partitions() == ["first/A1", "first/B1"]
