"""The inbox: a folder, here or in an object store, in which a cohort is a folder that its sender has finished.

Belongs here: which cohorts are complete, what state their files are in, a local copy, checksums. Does not belong here:
what is in the files (``inspection``), sensors (``sensors``).

``<inbox>/<cohort>/`` counts once it holds ``_SUCCESS``, or ``SHA256SUMS`` and every file that it lists.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from gr2st_assets.project import home
from gr2st_assets.publish import is_local
from gr2st_core.errors import DataError, SchemaError
from gr2st_core.types import SectionKey

MARKER, CHECKSUMS = "_SUCCESS", "SHA256SUMS"
COPIES = "cohorts"


@dataclass(frozen=True)
class Arrival:
    """A finished cohort folder in the inbox.

    Attributes
    ----------
    name
        Of the folder, and of the cohort.
    folder
        Where it lies.
    state
        Digest of names, sizes and times of its files: another state is another arrival.
    """

    name: str
    folder: UPath
    state: str


def inbox() -> UPath:
    """Give the inbox: ``GR2ST_INBOX``, any fsspec URL, else ``inbox/`` in the home folder."""
    return UPath(os.environ.get("GR2ST_INBOX", str(home() / "inbox")))


def arrivals(folder: UPath) -> tuple[list[Arrival], list[str]]:
    """Look for finished cohorts.

    Returns
    -------
    They, by name; and a line on each folder that is not finished or cannot name a cohort.
    """
    found, waiting = [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name) if folder.exists() else []:
        if not path.is_dir() or path.name.startswith("."):
            continue
        try:
            SectionKey(path.name, "any")
        except DataError as error:
            waiting.append(f"{path.name!r} cannot name a cohort: {error.message}")
            continue
        if missing := _missing(path):
            waiting.append(f"{path.name}: waits for {missing}")
        else:
            found.append(Arrival(path.name, path, _state(path)))
    return found, waiting


def _missing(folder: UPath) -> str:
    if (folder / MARKER).exists():
        return ""
    if not (folder / CHECKSUMS).exists():
        return f"{MARKER} or {CHECKSUMS}"
    absent = [name for name, _ in listed_checksums(folder) if not (folder / name).exists()]
    return f"{absent[0]} and {len(absent) - 1} other files of {CHECKSUMS}" if absent else ""


def listed_checksums(folder: UPath) -> Iterator[tuple[str, str]]:
    """Names and SHA-256 in a file as ``sha256sum`` writes it."""
    for line in (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition(" ")
        yield name.lstrip(" *").removeprefix("./"), digest.lower()


def _state(folder: UPath) -> str:
    lines = []
    for path in _files(folder):
        stat = path.stat()
        lines.append(f"{path.relative_to(folder).as_posix() if is_local(folder) else path.path}\0{stat.st_size}\0"
                     f"{stat.st_mtime}")  # fmt: skip
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _files(folder: UPath) -> list[UPath]:
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=str)


def local_folder(arrival: Arrival) -> Path:
    """Give the cohort's folder on this machine; one in an object store is copied to ``cohorts/`` in the home folder."""
    if is_local(arrival.folder):
        return Path(arrival.folder.path)
    target = home() / COPIES / arrival.name
    incoming = target.with_name(f".incoming-{arrival.name}")
    shutil.rmtree(incoming, ignore_errors=True)
    for path in _files(arrival.folder):
        copy = incoming / path.path.removeprefix(arrival.folder.path).lstrip("/")
        if not copy.resolve().is_relative_to(incoming.resolve()):
            raise SchemaError("a file lies outside its cohort folder", file=path, expected=f"a file below {incoming}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        path.fs.get_file(path.path, str(copy))
    if target.exists():
        shutil.rmtree(target)
    incoming.rename(target)
    return target


def wrong_checksums(folder: Path) -> list[DataError]:
    """Files that are not what ``SHA256SUMS`` says, if there is one."""
    from gr2st_core.cohorts.files import file_sha256, require_inside

    faults: list[DataError] = []
    if not (folder / CHECKSUMS).is_file():
        return faults
    for name, expected in listed_checksums(UPath(folder)):
        try:
            found = file_sha256(require_inside(folder / name, folder))
        except DataError as error:
            faults.append(error)
            continue
        if found != expected:
            faults.append(SchemaError(
                "a file is not what its checksum says", file=folder / name, found=found, expected=expected,
                hint="copy the file again",
            ))  # fmt: skip
    return faults
