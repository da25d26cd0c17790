"""Readers see whole fold sets of one generation, whatever writers do."""

import errno
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from gr2st_assets import manifest, publish
from gr2st_assets.lake import Lake
from gr2st_assets.manifest import build_manifest, current, faults, held_back, history, rollback
from gr2st_assets.records import Provenance
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError
from samples.crashes import each_failure, is_killed

FOLDS = {("her2st", "section"): ["section-B4", "section-C2"], ("her2st", "patient"): ["patient-B", "patient-C"]}


@pytest.fixture(params=["local", "memory"])
def lake(request, tmp_path):
    return Lake(tmp_path / "lake" if request.param == "local" else f"memory://{uuid.uuid4().hex}/lake")


def _put(lake, slot, generation="", data="x"):
    def write(folder):
        (folder / "data.parquet").write_text(f"{generation} {data}")

    return lake.publish(slot, write, Provenance("f", {}, "", "", generation, "r", 0.0)).digest


def _section(lake, section="B4", data="x"):
    slot = lake.slot("raw/spots", cohort="her2st", section=section)
    return slot, _put(lake, slot, data=data)


def _fold(lake, fold, generation, table="predictions/predictions_ridge", seed=0):
    slot = lake.slot(table, cohort="her2st", fold=fold, panel="fold_safe", target="per_spot", seed=seed)
    return slot, _put(lake, slot, generation)


def _shown(lake):
    return {slot: entry.digest for slot, entry in current(lake).entries.items()}


def test_there_is_nothing_to_show_before_the_first_manifest(lake):
    assert current(lake) is None
    assert history(lake) == []


def test_section_slots_advance_each_on_its_own(lake):
    first = dict([_section(lake, "B4"), _section(lake, "C2")])
    build_manifest(lake, {})
    assert _shown(lake) == first
    slot, digest = _section(lake, "C2", "new")
    build_manifest(lake, {})
    assert _shown(lake) == first | {slot: digest}
    assert [m.number for m in history(lake)] == [1, 2]


def test_nothing_new_makes_no_new_manifest(lake):
    _section(lake)
    first = build_manifest(lake, FOLDS)
    _section(lake)  # the same bytes again
    assert build_manifest(lake, FOLDS) == first
    assert len(history(lake)) == 1


def test_an_incomplete_fold_set_is_not_shown_and_is_reported(lake):
    _fold(lake, "section-B4", "g1")
    build_manifest(lake, FOLDS)
    assert _shown(lake) == {}
    (waiting,) = held_back(lake, FOLDS)
    assert (waiting.table, waiting.unit) == ("predictions/predictions_ridge", "section")
    assert waiting.missing == ["section-C2"]
    assert ("seed", "0") in waiting.keys


def test_a_complete_uniform_fold_set_is_shown(lake):
    whole = dict([_fold(lake, "section-B4", "g1"), _fold(lake, "section-C2", "g1")])
    build_manifest(lake, FOLDS)
    assert _shown(lake) == whole
    assert held_back(lake, FOLDS) == []


def test_a_mixed_fold_set_keeps_the_old_generation_until_it_is_uniform_again(lake):
    old = dict([_fold(lake, "section-B4", "g1"), _fold(lake, "section-C2", "g1")])
    build_manifest(lake, FOLDS)
    new = [_fold(lake, "section-B4", "g2")]
    build_manifest(lake, FOLDS)
    assert _shown(lake) == old
    assert held_back(lake, FOLDS)[0].generations == ["g1", "g2"]
    new.append(_fold(lake, "section-C2", "g2"))
    build_manifest(lake, FOLDS)
    assert _shown(lake) == dict(new)


def test_units_seeds_and_tables_are_sets_of_their_own(lake):
    shown = dict(_fold(lake, fold, "g1", seed=seed) for fold in FOLDS["her2st", "patient"] for seed in (0, 1))
    _fold(lake, "section-B4", "g1")
    _fold(lake, "patient-B", "g1", seed=2)
    _fold(lake, "patient-B", "g1", table="models/model_ridge")
    build_manifest(lake, FOLDS)
    assert _shown(lake) == shown


def test_a_set_waits_for_a_fold_that_the_fold_table_gained(lake):
    old = dict([_fold(lake, "section-B4", "g1"), _fold(lake, "section-C2", "g1")])
    build_manifest(lake, FOLDS)
    grown = FOLDS | {("her2st", "section"): ["section-B4", "section-C2", "section-C3"]}
    build_manifest(lake, grown)
    assert _shown(lake) == old
    added = dict([_fold(lake, "section-C3", "g1")])
    build_manifest(lake, grown)
    assert _shown(lake) == old | added


def test_folds_that_the_fold_table_lost_are_no_longer_shown(lake):
    kept = dict([_fold(lake, "section-B4", "g1"), _fold(lake, "section-C2", "g1")])
    _fold(lake, "section-C3", "g0")
    build_manifest(lake, FOLDS)
    assert _shown(lake) == kept
    build_manifest(lake, {})
    assert _shown(lake) == {}


def test_an_artefact_that_is_gone_is_never_put_into_a_manifest(lake):
    slot, digest = _section(lake, "B4")
    build_manifest(lake, {})
    _section(lake, "B4", "new")
    lake.folder(slot).fs.rm(lake.folder(slot).path, recursive=True)
    build_manifest(lake, {})
    assert _shown(lake) == {slot: digest}
    _fold(lake, "section-B4", "g1")
    fold, _ = _fold(lake, "section-C2", "g1")
    lake.folder(fold).fs.rm(lake.folder(fold).path, recursive=True)
    assert held_back(lake, FOLDS)[0].missing == ["section-C2"]


def test_a_manifest_names_the_files_of_its_tables(lake):
    slot, digest = _section(lake)
    model = lake.slot("models/model_x")
    lake.publish(model, lambda f: (f / "model.bin").write_bytes(b""), Provenance("f", {}, "", "", "", "r", 0.0))
    files = build_manifest(lake, {}).parquet_files(lake)
    assert files == {"models/model_x": [], "raw/spots": [f"{lake.path(slot)}/{digest}/data.parquet"]}


def test_rollback_shows_the_old_state_until_something_new_is_published(lake):
    slot, old = _section(lake, data="1")
    build_manifest(lake, {})
    _section(lake, data="2")
    build_manifest(lake, {})
    assert rollback(lake, 1).number == 1
    assert _shown(lake) == {slot: old}
    assert build_manifest(lake, {}).number == 1  # a rebuild alone does not undo it
    slot, new = _section(lake, data="3")
    assert build_manifest(lake, {}).number == 3
    assert _shown(lake) == {slot: new}
    assert rollback(lake, 2).number == 2  # forwards works as well


def test_rollback_to_an_unknown_manifest_names_those_there_are(lake):
    _section(lake)
    build_manifest(lake, {})
    with pytest.raises(MissingArtifactError) as caught:
        rollback(lake, 7)
    assert caught.value.context == {"manifest": 7, "found": [1]}


def test_rollback_to_a_manifest_whose_artefacts_are_gone_is_refused(lake):
    slot, digest = _section(lake, data="1")
    build_manifest(lake, {})
    _section(lake, data="2")
    build_manifest(lake, {})
    gone = lake.folder(slot, digest)
    gone.fs.rm(gone.path, recursive=True)
    with pytest.raises(MissingArtifactError) as caught:
        rollback(lake, 1)
    assert caught.value.context["found"] == str(gone)
    assert current(lake).number == 2
    assert [fault.file for fault in faults(lake, history(lake)[0])] == [str(gone)]


def test_of_two_writers_of_one_number_one_wins_and_the_other_takes_the_next(lake, monkeypatch):
    _section(lake, "B4")
    real, raced = manifest.create_exclusive, []

    def rival_first(path, data):
        if not raced:
            raced.append(path)
            slots = dict([_section(lake, "C2")])
            assert build_manifest(lake, {}).number == 1
            assert slots.items() <= _shown(lake).items()
            _section(lake, "C3")
        return real(path, data)

    monkeypatch.setattr(manifest, "create_exclusive", rival_first)
    assert build_manifest(lake, {}).number == 2
    assert [len(m.entries) for m in history(lake)] == [2, 3]
    assert current(lake).number == 2


def test_a_slow_writer_does_not_move_readers_back(lake, monkeypatch):
    _section(lake, "B4")
    real, raced = manifest.write_atomic, []

    def rival_between(path, data):
        if not raced:
            raced.append(path)
            _section(lake, "C2")
            assert build_manifest(lake, {}).number == 2
        real(path, data)

    monkeypatch.setattr(manifest, "write_atomic", rival_between)
    assert build_manifest(lake, {}).number == 2
    assert current(lake).number == 2


def test_a_manifest_whose_writer_died_before_pointing_to_it_is_shown_by_the_next(lake, monkeypatch):
    _section(lake, "B4")
    build_manifest(lake, {})
    _section(lake, "C2")

    def die(path, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_atomic", die)
        with pytest.raises(KeyboardInterrupt):
            build_manifest(lake, {})
    assert current(lake).number == 1
    assert build_manifest(lake, {}).number == 2
    assert len(history(lake)) == current(lake).number == 2


@pytest.fixture
def behind(tmp_path):
    """A lake whose manifest does not show its newest artefact yet, and what stands where it was shown undisturbed."""
    lake = Lake(tmp_path / "lake")
    _section(lake, "B4")
    build_manifest(lake, {})
    _section(lake, "C2")
    undisturbed = Lake(shutil.copytree(lake.root.path, tmp_path / "undisturbed"))
    build_manifest(undisturbed, {})
    return lake, _files(undisturbed)


def _files(lake):
    return {path.name: path.read_bytes() for path in (Path(lake.root.path) / manifest.FOLDER).iterdir()}


def _require_whole(lake, undisturbed):
    """Readers are shown one manifest whose artefacts are there, and every numbered one is whole."""
    assert current(lake).number in (1, 2)
    assert faults(lake, current(lake)) == []
    assert lake.verify(deep=True) == []
    numbered = {name: data for name, data in _files(lake).items() if name.startswith("0")}
    assert numbered.items() <= undisturbed.items()


@pytest.mark.parametrize("point", [name for name in publish.CRASH_POINTS if name.startswith(("exclusive", "pointer"))])
def test_a_manifest_killed_anywhere_is_completed_by_the_next(behind, point):
    lake, undisturbed = behind
    assert is_killed(f"{point}@{manifest.FOLDER}", lambda: build_manifest(lake, {}))
    _require_whole(lake, undisturbed)
    build_manifest(lake, {})
    lake.sweep(older_than_s=0)
    assert _files(lake) == undisturbed


@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_a_manifest_on_a_failing_disk_is_completed_by_the_next(behind, call):
    lake, undisturbed = behind
    for failed in each_failure(call, errno.ENOSPC, lambda: build_manifest(lake, {})):
        assert manifest.FOLDER in str(failed.filename)
        _require_whole(lake, undisturbed)
    assert _files(lake) == undisturbed


def test_something_of_a_newer_version_stops_the_manifest(lake):
    slot, _ = _section(lake)
    head = lake.path(slot, "_head.json")
    head.write_bytes(head.read_bytes().replace(b'"format_version": 1', b'"format_version": 2'))
    with pytest.raises(SchemaError) as caught:
        build_manifest(lake, {})
    assert caught.value.context["file"] == head


def test_a_damaged_manifest_is_an_error_naming_file_and_field(lake):
    _section(lake)
    build_manifest(lake, {})
    path = lake.root / manifest.FOLDER / "000001.json"
    path.write_bytes(path.read_bytes().replace(b'"digest"', b'"digesu"'))
    with pytest.raises(DataError) as caught:
        current(lake)
    assert (caught.value.context["file"], caught.value.context["field"]) == (path, "digest")


WRITER = """
import sys, time
from gr2st_assets.lake import Lake
from gr2st_assets.manifest import build_manifest
from gr2st_assets.records import Provenance

root, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
lake, end, number = Lake(root), time.time() + float(seconds), 0
while time.time() < end:
    number += 1
    generation = f"{name}{number}"
    for fold in ("section-B4", "section-C2", "section-C3"):
        slot = lake.slot("predictions/p", cohort="c", fold=fold, panel="x", target="per_spot", seed=0)
        write = lambda folder: (folder / "data.parquet").write_text(f"{generation}\\n" * 20_000)
        lake.publish(slot, write, Provenance("f", {}, "", "", generation, "r", 0.0))
    build_manifest(lake, {("c", "section"): ["section-B4", "section-C2", "section-C3"]})
"""


@pytest.mark.slow
def test_readers_never_see_a_torn_file_or_two_generations_while_two_writers_publish(tmp_path):
    lake, seconds = Lake(tmp_path), 4.0
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name, str(seconds)]) for name in "ab"]
    rounds, seen = 0, set()
    while any(writer.poll() is None for writer in writers):
        shown = current(lake)
        if shown is None:
            time.sleep(0.01)
            continue
        texts = [Path(file).read_text() for file in shown.parquet_files(lake).get("predictions/p", [])]
        lines = {line for text in texts for line in text.splitlines()}
        assert all(len(text.splitlines()) == 20_000 for text in texts)
        assert len(lines) <= 1
        for slot in lake.slots():
            newest = (Path(lake.folder(slot).path) / "data.parquet").read_text().splitlines()
            assert len(newest) == 20_000
            assert len(set(newest)) == 1
        rounds, seen = rounds + 1, seen | lines
    assert [writer.returncode for writer in writers] == [0, 0]
    assert rounds > 20
    assert len(seen) > 3
    assert lake.verify(deep=True) == []
    assert not list(tmp_path.rglob(f"{publish.TEMPORARY}*"))
    assert [m.number for m in history(lake)] == list(range(1, current(lake).number + 1))
