"""Which cohort folders of the inbox are finished, what is copied, whose checksums are wrong."""

import hashlib
import os
import threading

import dagster as dg
import pytest
from filelock import FileLock
from upath import UPath

from gr2st_assets import arrivals as arriving
from gr2st_assets.inbox import CHECKSUMS, MARKER, arrivals, inbox, local_folder, wrong_checksums
from gr2st_assets.parsing import SectionParser
from gr2st_core.errors import MissingArtifactError, SchemaError


@pytest.fixture
def box(tmp_path, monkeypatch):
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    monkeypatch.delenv("GR2ST_INBOX", raising=False)
    (tmp_path / "inbox" / "new").mkdir(parents=True)
    (tmp_path / "inbox" / "new" / "a.tsv").write_text("counts")
    return tmp_path / "inbox"


def checksums(**texts):
    return "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  ./{name}\n" for name, text in texts.items())


def test_a_folder_counts_once_its_marker_is_there(box):
    assert arrivals(inbox()) == ([], [f"new: waits for {MARKER} or {CHECKSUMS}"])
    (box / "new" / MARKER).touch()
    (found,), waiting = arrivals(inbox())
    assert (found.name, waiting) == ("new", [])
    assert local_folder(found) == box / "new"


def test_a_folder_counts_once_every_file_of_its_checksums_is_there(box):
    (box / "new" / CHECKSUMS).write_text(checksums(**{"a.tsv": "counts", "b.tsv": "more"}))
    assert arrivals(inbox()) == ([], [f"new: waits for b.tsv and 0 other files of {CHECKSUMS}"])
    (box / "new" / "b.tsv").write_text("more")
    assert [found.name for found in arrivals(inbox())[0]] == ["new"]


def test_the_state_changes_with_a_file_and_with_nothing_else(box):
    (box / "new" / MARKER).touch()
    ((first,), _), ((again,), _) = arrivals(inbox()), arrivals(inbox())
    (box / "new" / "a.tsv").write_text("other counts")
    ((changed,), _) = arrivals(inbox())
    assert first.state == again.state != changed.state


def test_a_name_that_no_cohort_can_have_is_said_and_passed_over(box):
    (box / "New Cohort!" / "x").mkdir(parents=True)
    (box / ".hidden").mkdir()
    (box / "notes.txt").write_text("no folder")
    waiting = arrivals(inbox())[1]
    assert len(waiting) == 2
    assert waiting[0].startswith("'New Cohort!' cannot name a cohort")


def test_an_inbox_that_is_not_there_is_empty(box, monkeypatch):
    monkeypatch.setenv("GR2ST_INBOX", str(box / "nowhere"))
    assert arrivals(inbox()) == ([], [])


def test_wrong_and_missing_files_are_named(box):
    (box / "new" / CHECKSUMS).write_text(checksums(**{"a.tsv": "other", "gone.tsv": "x", "../b.tsv": "x"}))
    (box / "b.tsv").write_text("x")
    wrong, gone, outside = wrong_checksums(box / "new")
    assert wrong.context["file"] == box / "new" / "a.tsv"
    assert wrong.context["expected"] == hashlib.sha256(b"other").hexdigest()
    assert isinstance(gone, MissingArtifactError)
    assert isinstance(outside, SchemaError)
    (box / "new" / CHECKSUMS).write_text(checksums(**{"a.tsv": "counts"}))
    assert wrong_checksums(box / "new") == []


def test_a_cohort_in_an_object_store_is_copied_whole(box, monkeypatch, tmp_path):
    store = UPath("memory://bucket/inbox")
    for name, text in (("far/a.tsv", "1"), ("far/deep/b.tsv", "2"), (f"far/{MARKER}", "")):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_text(text)
    monkeypatch.setenv("GR2ST_INBOX", "memory://bucket/inbox")
    (found,), _ = arrivals(inbox())
    stale = tmp_path / "cohorts" / "far" / "gone.tsv"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier copy")
    folder = local_folder(found)
    assert folder == tmp_path / "cohorts" / "far"
    copied = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert copied == {"a.tsv": "1", "deep/b.tsv": "2", MARKER: ""}


def test_the_sensor_asks_once_for_every_state_of_a_finished_cohort(box):
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance) as context:
        skipped = arriving.inbox_sensor.evaluate_tick(context)
        assert skipped.skip_message.startswith("new: waits for")
        (box / "new" / MARKER).touch()
        (first,) = arriving.inbox_sensor.evaluate_tick(context).run_requests
        (box / "new" / "a.tsv").write_text("other counts")
        (second,) = arriving.inbox_sensor.evaluate_tick(context).run_requests
    assert first.run_config["ops"]["take_in_cohort"]["config"]["cohort"] == "new"
    assert first.run_key.startswith("new:")
    assert first.run_key != second.run_key


def test_a_cohort_that_no_reader_knows_fails_its_run_and_says_why(box):
    (box / "new" / MARKER).touch()
    assert "no reader knows the layout" in failure_of_ingest()


def test_an_arrival_waits_while_its_cohort_is_being_taken_in(box, monkeypatch):
    def listed(*_):
        raise SchemaError("it had its turn")

    monkeypatch.setattr(SectionParser, "list_folder", listed)
    (box / "new" / MARKER).touch()
    is_held, may_end = threading.Event(), threading.Event()

    def hold():
        with FileLock(box.parent / ".ingest-new.lock"):
            is_held.set()
            may_end.wait()

    other = threading.Thread(target=hold)
    other.start()
    is_held.wait()
    threading.Timer(0.5, may_end.set).start()
    assert failure_of_ingest() == "it had its turn"
    other.join()


def failure_of_ingest():
    """Take in the cohort of the inbox; why that failed."""
    with dg.DagsterInstance.ephemeral() as instance:
        done = arriving.ingest.execute_in_process(
            run_config=dg.RunConfig(ops={"take_in_cohort": arriving.CohortName(cohort="new")}),
            resources={"lake": arriving.LakeResource()},
            instance=instance,
            raise_on_error=False,
        )
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


LINE = f"{'0' * 64}  "


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_text(f"{LINE}a.tsv\n", encoding="utf-16"), "not whole"),
        (lambda path: path.write_text(f"{LINE}{'a' * 300}\n"), "File name too long"),
        (lambda path: path.mkdir(), "regular file"),
        (os.mkfifo, "regular file"),
        (lambda path: path.symlink_to("a.tsv"), "regular file"),
        (lambda path: path.write_text(f"{LINE}/etc/passwd\n"), "of its own files only"),
        (lambda path: path.write_text(f"{LINE}../good/a.tsv\n"), "of its own files only"),
        (lambda path: path.write_text(""), f"waits for lines in {CHECKSUMS}"),
        (lambda path: path.write_text(f"{LINE}a.tsv"), "not whole"),
    ],
)
def test_checksums_that_cannot_be_used_cost_their_folder_and_no_other(box, spoil, said):
    (box / "good").mkdir()
    (box / "good" / MARKER).touch()
    spoil(box / "new" / CHECKSUMS)
    found, (waiting,) = arrivals(inbox())
    assert [arrival.name for arrival in found] == ["good"]
    assert waiting.startswith("new: waits for")
    assert said in waiting


def test_a_linked_folder_is_no_arrival(box):
    (box / "new" / MARKER).touch()
    (box / "link").symlink_to(box / "new")
    found, waiting = arrivals(inbox())
    assert [arrival.name for arrival in found] == ["new"]
    assert waiting == ["link: waits for a folder instead of a link"]
