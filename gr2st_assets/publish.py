"""How bytes become visible: the one place of the project that opens files of the lake for writing.

Belongs here: artefact folders (immutable, named by their content), pointer files (replaced in one step), files that
only one writer may create, crash points for tests. Does not belong here: what files mean (``lake``, ``manifest``).

On a local disk everything is written under a temporary name in its own folder, fsynced, read back, renamed, and the
folder fsynced. On other filesystems a PUT is atomic by itself: files go up under their final names, sidecar last.
Temporary names start with ``.tmp-``, the process id and a token, so no listing of tables ever shows them.
"""

import errno
import hashlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from gr2st_assets.documents import encode
from gr2st_core.errors import SchemaError

if TYPE_CHECKING:
    from upath import UPath

SIDECAR = "artifact.json"
TEMPORARY = ".tmp-"
CRASH_VARIABLE = "GR2ST_CRASH_AT"
CRASH_POINTS = (
    "artefact.staged",
    "artefact.written",
    "artefact.synced",
    "artefact.sealed",
    "artefact.renamed",
    "artefact.replacing",
    "artefact.visible",
    "artefact.uploading",
    "pointer.staged",
    "pointer.replaced",
    "pointer.visible",
    "exclusive.staged",
    "exclusive.linked",
    "exclusive.visible",
)
_publishing: ContextVar[str] = ContextVar("_publishing", default="")  # path that this thread is writing


def crash_point(name: str) -> None:
    """Kill this process if the environment asks for it here, as ``point`` or ``point@text of the path``; tests only."""
    point, _, text = os.environ.get(CRASH_VARIABLE, "").partition("@")
    if point == name and text in _publishing.get():
        os.kill(os.getpid(), signal.SIGKILL)


def is_local(path: "UPath") -> bool:
    """Whether a path lies on this machine's filesystem, where renames are atomic."""
    return path.protocol in ("", "file", "local")


def file_sha256(path: "UPath | Path") -> str:
    """SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def create_file(path: Path) -> BinaryIO:
    """Open a new file for writing, inside the folder that ``publish_artefact`` hands out."""
    return path.open("xb")


def publish_artefact(slot: "UPath", write: Callable[[Path], None]) -> str:
    """Make a folder of files visible at once, under the digest of its content.

    Parameters
    ----------
    slot
        Folder that gets ``<digest>/`` with the files and their sidecar ``artifact.json``.
    write
        Fills the empty local folder it is given with plain files.

    Returns
    -------
    16 hexadecimal digits. Equal files give an equal digest; a folder that is there already gets its files again, one
    by one, which changes nothing unless one was damaged.

    Raises
    ------
    SchemaError
        ``write`` left no file, a folder, or a file named like the sidecar.
    OSError
        The disk is full or fails; names the slot. Nothing becomes visible.
    """
    with _naming(slot):
        return _publish_local(Path(slot.path), write) if is_local(slot) else _upload(slot, write)


def write_atomic(path: "UPath", data: bytes) -> None:
    """Replace one small file so that a reader sees the old bytes or the new, never a part.

    Raises
    ------
    OSError
        Names the file, which is the old one or the new one.
    """
    with _naming(path):
        if not is_local(path):
            path.fs.pipe_file(path.path, data)
            return
        final = Path(path.path)
        with _temporary_file(final.parent, data) as temporary:
            crash_point("pointer.staged")
            temporary.replace(final)
            crash_point("pointer.replaced")
        _sync_folder(final.parent)
        crash_point("pointer.visible")


def create_exclusive(path: "UPath", data: bytes) -> bool:
    """Create one small file unless it exists; of several writers exactly one is told True.

    Raises
    ------
    OSError
        Names the file.
    """
    with _naming(path):
        if not is_local(path):
            return _put_exclusive(path, data)
        final = Path(path.path)
        with _temporary_file(final.parent, data) as temporary:
            crash_point("exclusive.staged")
            try:
                final.hardlink_to(temporary)  # unlike a rename, fails if the name is taken
            except FileExistsError:
                return False
            crash_point("exclusive.linked")
        _sync_folder(final.parent)
        crash_point("exclusive.visible")
        return True


def sweep(root: "UPath", older_than_s: float) -> list[str]:
    """Remove what killed writers left under temporary names; returns the paths removed, sorted.

    Parameters
    ----------
    older_than_s
        Age in seconds of the newest change below a name. Longer than any writer pauses, or its work is lost.
    """
    if not is_local(root):
        return []
    limit = time.time() - older_than_s
    removed = [path for path in sorted(Path(root.path).rglob(f"{TEMPORARY}*")) if _newest_change(path) <= limit]
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return [str(path) for path in removed]


def _newest_change(path: Path) -> float:
    """Modification time; infinity for a name that its writer has just renamed."""
    try:
        return max(part.stat().st_mtime for part in (path, *path.rglob("*")))
    except FileNotFoundError:
        return float("inf")


def _publish_local(slot: Path, write: Callable[[Path], None]) -> str:
    _make_folder(slot)
    staged = slot / _temporary_name()
    staged.mkdir()  # not mkdtemp, whose folders other users cannot read
    try:
        crash_point("artefact.staged")
        digest = _seal(staged, write)
        _install(staged, slot / digest)
    finally:
        shutil.rmtree(staged, ignore_errors=True)  # the first error is the one to report; sweep gets the rest
    _sync_folder(slot)
    crash_point("artefact.visible")
    return digest


def _upload(slot: "UPath", write: Callable[[Path], None]) -> str:
    with tempfile.TemporaryDirectory(prefix="gr2st-") as temporary:
        staged = Path(temporary)
        digest = _seal(staged, write)
        for name in _sidecar_last(staged):
            slot.fs.put_file(str(staged / name), (slot / digest / name).path)
            crash_point("artefact.uploading")
    return digest


def _put_exclusive(path: "UPath", data: bytes) -> bool:
    try:
        path.fs.pipe_file(path.path, data, mode="create")
    except FileExistsError:
        return False
    return True


def _seal(staged: Path, write: Callable[[Path], None]) -> str:
    """Let ``write`` fill the folder, sync it, add the sidecar; the digest is that of the sidecar's bytes."""
    write(staged)
    crash_point("artefact.written")
    paths = sorted(staged.iterdir())
    odd = [path.name for path in paths if path.is_symlink() or not path.is_file() or path.name == SIDECAR]
    if odd or not paths:
        raise SchemaError("an artefact is one or more plain files", file=staged.parent, found=odd or "no file")
    mode = staged.stat().st_mode & 0o666  # some writers, safetensors for one, make files that others cannot read
    for path in paths:
        path.chmod(mode)
        _sync_file(path)
    crash_point("artefact.synced")
    facts = {path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in paths}
    sidecar = encode({"files": facts})
    with create_file(staged / SIDECAR) as stream:
        stream.write(sidecar)
    _sync_file(staged / SIDECAR)
    _sync_folder(staged)
    crash_point("artefact.sealed")
    return hashlib.sha256(sidecar).hexdigest()[:16]


def _install(staged: Path, final: Path) -> None:
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        for name in _sidecar_last(staged):
            (staged / name).replace(final / name)
            crash_point("artefact.replacing")
        _sync_folder(final)
    crash_point("artefact.renamed")


def _sidecar_last(folder: Path) -> list[str]:
    return sorted((path.name for path in folder.iterdir()), key=lambda name: (name == SIDECAR, name))


@contextmanager
def _temporary_file(folder: Path, data: bytes) -> Iterator[Path]:
    """Write a synced file of ``data`` beside its final name, removed at the end unless it was renamed."""
    _make_folder(folder)
    path = folder / _temporary_name()
    try:
        with create_file(path) as stream:
            stream.write(data)
        _sync_file(path)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _temporary_name() -> str:
    return f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"


def _make_folder(folder: Path) -> None:
    """Create a folder and its parents, each one's entry synced."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    _sync_folder(folder.parent)


def _sync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: "UPath") -> Iterator[None]:
    """Tell crash points and errors of the disk, which often name no file, what is being published."""
    token = _publishing.set(str(path))
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        _publishing.reset(token)
