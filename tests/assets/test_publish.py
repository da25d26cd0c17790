"""Old or new, never half: the publish primitive under kills, full disks and competing writers."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from upath import UPath

from gr2st_assets import publish
from gr2st_assets.lake import Lake, Provenance
from gr2st_assets.manifest import build_manifest, current, faults
from gr2st_core.errors import SchemaError
from samples.crashes import each_failure

# What a step does: publish a new artefact, publish the same bytes once more, show readers the result.
STEP = """
import sys
from gr2st_assets.lake import Lake, Provenance
from gr2st_assets.manifest import build_manifest

def write(folder):
    (folder / "data.bin").write_bytes(b"new" * 100_000)
    (folder / "more.bin").write_bytes(b"more")

lake = Lake(sys.argv[1])
for run in ("1", "2"):
    lake.publish(lake.slot("raw/slides", cohort="c", section="s"), write, Provenance("new", {}, "", "", "", run, 0.0))
build_manifest(lake, {})
"""
LOCAL_POINTS = [name for name in publish.CRASH_POINTS if name != "artefact.uploading"]


def _step(lake, crash_at=""):
    environment = {**os.environ, publish.CRASH_VARIABLE: crash_at}
    return subprocess.run([sys.executable, "-c", STEP, str(lake.root)], env=environment, check=False).returncode


def _provenance(fingerprint="old"):
    return Provenance(fingerprint, {}, "", "", "", "run", 0.0)


def _writer(data):
    def write(folder):
        (folder / "data.bin").write_bytes(data)

    return write


def _visible(root):
    """Bytes of every file that a reader could find; pointers apart, which hold run ids and times."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file() and publish.TEMPORARY not in str(path) and path.name != "_head.json"
    }


@pytest.fixture
def lake(tmp_path):
    """A lake with one old artefact that readers are shown."""
    lake = Lake(tmp_path / "lake")
    lake.publish(lake.slot("raw/slides", cohort="c", section="s"), _writer(b"old"), _provenance())
    build_manifest(lake, {})
    return lake


@pytest.fixture(scope="module")
def uncrashed(tmp_path_factory):
    """Bytes after a step that nobody killed."""
    lake = Lake(tmp_path_factory.mktemp("uncrashed") / "lake")
    lake.publish(lake.slot("raw/slides", cohort="c", section="s"), _writer(b"old"), _provenance())
    build_manifest(lake, {})
    assert _step(lake) == 0
    return _visible(lake.root)


@pytest.mark.parametrize("point", LOCAL_POINTS)
def test_a_step_killed_anywhere_leaves_old_or_new_and_the_next_completes(lake, uncrashed, point):
    slot = lake.slots()[0]
    assert _step(lake, crash_at=point) == -signal.SIGKILL
    assert lake.verify(deep=True) == []
    assert lake.head(slot).provenance.fingerprint in ("old", "new")
    assert faults(lake, current(lake)) == []

    assert _step(lake) == 0
    lake.sweep(older_than_s=0)
    assert _visible(lake.root) == uncrashed
    assert lake.is_current(slot, "new")
    assert not list(Path(lake.root).rglob(f"{publish.TEMPORARY}*"))


def test_a_step_killed_inside_its_own_writing_shows_nothing(lake):
    script = """
import os, signal, sys
from gr2st_assets.lake import Lake, Provenance

def write(folder):
    (folder / "data.bin").write_bytes(b"ha")
    os.kill(os.getpid(), signal.SIGKILL)

lake = Lake(sys.argv[1])
lake.publish(lake.slot("raw/slides", cohort="c", section="s"), write, Provenance("new", {}, "", "", "", "r", 0.0))
"""
    before = _visible(lake.root)
    done = subprocess.run([sys.executable, "-c", script, str(lake.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert _visible(lake.root) == before
    assert lake.verify(deep=True) == []
    (leftover,) = lake.sweep(older_than_s=0)
    assert Path(leftover).name.startswith(publish.TEMPORARY)
    assert lake.sweep(older_than_s=0) == []


def test_sweep_leaves_young_work_alone(lake):
    young = Path(lake.root) / f"{publish.TEMPORARY}1-aa"
    young.mkdir()
    (young / "data.bin").write_bytes(b"x")
    assert lake.sweep(older_than_s=3600) == []
    os.utime(young, (0, 0))
    assert lake.sweep(older_than_s=3600) == []  # its file is young
    os.utime(young / "data.bin", (0, 0))
    assert lake.sweep(older_than_s=3600) == [str(young)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename", "replace", "mkdir"])
def test_the_nth_failing_call_keeps_the_old_head_until_one_gets_through(lake, call, code):
    slot = lake.slots()[0]
    old = lake.head(slot)
    for failed in each_failure(call, code, lambda: lake.publish(slot, _writer(b"new"), _provenance("new"))):
        assert failed.errno == code
        assert "section=s" in str(failed.filename)
        assert lake.head(slot).provenance.fingerprint in ("old", "new")
        assert lake.verify(deep=True) == []
        assert not list(Path(lake.root).rglob(f"{publish.TEMPORARY}*"))
    assert lake.head(slot) != old


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
@pytest.mark.parametrize("point", [name for name in LOCAL_POINTS if name.startswith("artefact")])
def test_an_error_at_any_stage_of_an_artefact_keeps_the_old_head(lake, monkeypatch, point, error):
    slot, old = lake.slots()[0], lake.head(lake.slots()[0])

    def fail(name):
        if name == point:
            raise error

    monkeypatch.setattr(publish, "crash_point", fail)
    if point == "artefact.replacing":
        lake.publish(lake.slot("raw/slides", cohort="c", section="other"), _writer(b"old"), _provenance())
    data = b"old" if point == "artefact.replacing" else b"new"
    with pytest.raises(type(error)):
        lake.publish(slot, _writer(data), _provenance("new"))
    assert lake.head(slot) == old
    assert lake.verify(deep=True) == []


def test_a_real_write_beyond_the_file_size_limit_fails_and_keeps_the_old_head(lake):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n" + STEP
    done = subprocess.run([sys.executable, "-c", limited, str(lake.root)], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert lake.head(lake.slots()[0]).provenance.fingerprint == "old"
    assert lake.verify(deep=True) == []
    assert lake.sweep(older_than_s=0) == []


def _link(folder):
    (folder / "data.bin").symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    "write",
    [
        lambda _: None,
        lambda folder: (folder / "inner").mkdir(),
        lambda folder: (folder / publish.SIDECAR).write_text("{}"),
        _link,
    ],
)
def test_an_artefact_is_plain_files_and_at_least_one(lake, write):
    slot = lake.slot("raw/slides", cohort="c", section="other")
    with pytest.raises(SchemaError) as caught:
        lake.publish(slot, write, _provenance())
    assert "section=other" in str(caught.value.context["file"])
    assert lake.head(slot) is None


def test_publishing_again_heals_a_damaged_artefact(lake):
    slot = lake.slots()[0]
    (Path(lake.folder(slot).path) / "data.bin").write_bytes(b"ol")
    assert not lake.is_current(slot, "old")
    before = lake.head(slot).digest
    assert lake.publish(slot, _writer(b"old"), _provenance()).digest == before
    assert lake.verify(deep=True) == []
    assert lake.is_current(slot, "old")


def test_artefact_folders_are_as_readable_as_the_folder_they_lie_in(lake):
    folder = Path(lake.folder(lake.slots()[0]).path)
    assert folder.stat().st_mode == folder.parent.stat().st_mode


def test_files_are_as_readable_as_their_folder_whoever_wrote_them(lake):
    def write(folder):
        (folder / "model.safetensors").touch(mode=0o600)

    slot = lake.slot("models/model_x", cohort="c", fold="f")
    lake.publish(slot, write, _provenance())
    folder = Path(lake.folder(slot).path)
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == folder.stat().st_mode & 0o666


@pytest.mark.parametrize("root", ["local", "memory://exclusive"])
def test_of_two_creators_exactly_one_is_told_yes(tmp_path, root):
    path = UPath(tmp_path if root == "local" else root) / "folder" / "1.json"
    assert publish.create_exclusive(path, b"first")
    assert not publish.create_exclusive(path, b"second")
    assert path.read_bytes() == b"first"


def test_of_many_competing_creators_exactly_one_is_told_yes(tmp_path):
    for number in range(30):
        path, won = UPath(tmp_path / f"{number}.json"), []
        barrier = threading.Barrier(8)

        def create(writer, path=path, won=won, barrier=barrier):
            barrier.wait()
            if publish.create_exclusive(path, writer.encode() * 1000):
                won.append(writer)

        threads = [threading.Thread(target=create, args=(str(writer),)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert path.read_bytes() == won[0].encode() * 1000
        assert len(won) == 1


def test_every_crash_point_is_named_once_and_used():
    source = Path(publish.__file__).read_text(encoding="utf-8")
    assert len(set(publish.CRASH_POINTS)) == len(publish.CRASH_POINTS)
    for name in publish.CRASH_POINTS:
        assert source.count(f'crash_point("{name}")') == 1
    assert source.count('crash_point("') == len(publish.CRASH_POINTS)
