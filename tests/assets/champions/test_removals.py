"""Sections taken out of a lake that serves a champion; whoever is killed meanwhile, readers find whole files."""

import errno
import shutil

import dagster as dg
import pytest

from gr2st_assets import manifest, register, removal
from gr2st_assets.artefacts import inspect
from gr2st_assets.champions import champions, history
from gr2st_assets.lake import Lake
from gr2st_assets.register import RegisteredCohort
from gr2st_assets.removal import CRASH_POINTS, plan_removal, remove
from gr2st_core.cohorts.records import SectionEntry
from gr2st_core.keys import SectionKey
from samples.crashes import each_failure, is_killed


@pytest.fixture
def lakes(sections, tmp_path, monkeypatch):
    """Give what copies a lake with cohorts ``c`` and ``d``, both registered and in the manifest that readers see."""
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    monkeypatch.setattr(removal, "publish_shown", lambda *_: None)  # rows here are no catalogue's; it has own tests
    for name, ids in {"c": ("A1", "B1", "C1"), "d": ("L1",)}.items():
        entries = tuple(SectionEntry(SectionKey(name, each), each[0], {"image": tmp_path / each}) for each in ids)
        register.save(sections.lake, RegisteredCohort(name, tmp_path, "slides", False, entries))
    folds = {("c", "patient"): [f"patient-{each}" for each in "ABC"], ("c", "all"): ["all"]}
    manifest.build_manifest(sections.lake, folds)

    def copy(name):
        shutil.copytree(sections.lake.root.path, tmp_path / name)
        return Lake(tmp_path / name)

    return copy


def take_out(lake):
    """Remove section ``c/A1``."""
    with dg.DagsterInstance.ephemeral() as instance:
        remove(lake, instance, plan_removal(lake, "c", section="A1"))


def state(lake):
    """Every artefact, what is registered, what readers are shown, and who serves."""
    slots = {slot: lake.require_head(slot).digest for slot in lake.slots()}
    known = [key for name in register.names(lake) for key in register.section_keys(lake, name)]
    return slots, known, manifest.current(lake).entries, [event.kind for event in history(lake)]


def shown_faults(lake):
    """What readers are shown and is not there as it was published."""
    entries = manifest.current(lake).entries
    return [fault for slot, entry in entries.items() for fault in inspect(lake.path(slot, entry.digest), deep=True)]


def test_a_removal_killed_anywhere_shows_whole_files_and_the_next_completes(lakes):
    undisturbed = lakes("undisturbed")
    take_out(undisturbed)
    assert SectionKey("c", "A1") not in state(undisturbed)[1]
    for point in CRASH_POINTS:
        lake = lakes(point)
        assert is_killed(point, lambda lake=lake: take_out(lake)), point
        assert shown_faults(lake) == []
        assert champions(history(lake)) == {}
        take_out(lake)
        assert state(lake) == state(undisturbed), point
        assert lake.verify(deep=True) == []


def test_a_removal_on_a_failing_disk_shows_whole_files_and_the_next_completes(lakes):
    undisturbed, lake = lakes("undisturbed"), lakes("failing")
    take_out(undisturbed)
    for failed in each_failure("replace", errno.ENOSPC, lambda: take_out(lake)):
        assert str(lake.root) in str(failed.filename)
        assert shown_faults(lake) == []
    assert state(lake) == state(undisturbed)
