"""The inbox: a folder, here or in an object store, in which a cohort is a folder that its sender has finished.

Belongs here: which cohorts are complete, what state their files are in, a local copy, checksums. Does not belong here:
what is in the files (``inspection``), sensors (``arrivals``).

``<inbox>/<cohort>/`` counts once it holds ``_SUCCESS``, or a whole ``SHA256SUMS`` and every file that it lists. What is
wrong with one folder costs no other.
"""

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from filelock import FileLock

from gr2st_assets.project import home
from gr2st_assets.publish import is_local
from gr2st_core.errors import DataError, SchemaError
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from upath import UPath

MARKER, CHECKSUMS = "_SUCCESS", "SHA256SUMS"
COPIES = "cohorts"
_MAX_BYTES = 2**25
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?([^\0]+)")


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
    folder: "UPath"
    state: str


def inbox() -> "UPath":
    """Give the inbox: ``GR2ST_INBOX``, any fsspec URL, else ``inbox/`` in the home folder."""
    from upath import UPath

    return UPath(os.environ.get("GR2ST_INBOX", str(home() / "inbox")))


def arrivals(folder: "UPath") -> tuple[list[Arrival], list[str]]:
    """Look for finished cohorts.

    Returns
    -------
    They, by name; and a line on each folder that is not finished or cannot name a cohort.
    """
    found, waiting = [], []
    for path in sorted(folder.iterdir(), key=lambda path: path.name) if folder.exists() else []:
        if path.name.startswith(".") or not path.is_dir():
            continue
        try:
            SectionKey(path.name, "any")
        except DataError as error:
            waiting.append(f"{path.name!r} cannot name a cohort: {error.message}")
            continue
        try:
            missing = _missing(path)
            state = "" if missing else _state(path)
        except (DataError, OSError, ValueError) as error:
            missing = str(error)
        if missing:
            waiting.append(f"{path.name}: waits for {missing}")
        else:
            found.append(Arrival(path.name, path, state))
    return found, waiting


def _missing(folder: "UPath") -> str:
    if _is_link(folder):
        return "a folder instead of a link"
    if (folder / MARKER).is_file():
        return ""
    if not _has_checksums(folder):
        return f"{MARKER} or {CHECKSUMS}"
    names = [name for name, _ in listed_checksums(folder)]
    if outside := [name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts]:
        return f"a {CHECKSUMS} of its own files only, not of {outside[0]!r}"
    absent = [name for name in names if not (folder / name).exists()]
    if not names or absent:
        return f"{absent[0]} and {len(absent) - 1} other files of {CHECKSUMS}" if absent else f"lines in {CHECKSUMS}"
    return ""


def _is_link(path: "UPath") -> bool:
    return is_local(path) and path.is_symlink()


def _has_checksums(folder: "UPath") -> bool:
    return (folder / CHECKSUMS).exists() or _is_link(folder / CHECKSUMS)


def listed_checksums(folder: "UPath") -> list[tuple[str, str]]:
    """Names and SHA-256 in a file as ``sha256sum`` writes it.

    Raises
    ------
    SchemaError
        It is no regular file of such lines, or its last line has no end.
    """
    path = folder / CHECKSUMS
    if _is_link(path) or not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise SchemaError(
            "a list of checksums cannot be used", file=path, expected=f"a regular file of at most {_MAX_BYTES} bytes"
        )
    *lines, rest = path.read_bytes().decode(errors="replace").replace("\r\n", "\n").split("\n")
    found = [_LINE.fullmatch(line) for line in lines]
    if rest or not all(found):
        bad = next((line for line, match in zip(lines, found, strict=True) if not match), rest)
        raise SchemaError(
            "a list of checksums is not whole",
            file=path,
            found=repr(bad[:100]),
            expected="lines as sha256sum writes them, the last one with its end",
        )
    return [(match[2], match[1].lower()) for match in found if match]


def _state(folder: "UPath") -> str:
    lines = []
    for path in _files(folder):
        stat = path.stat()
        lines.append(f"{path.relative_to(folder).as_posix() if is_local(folder) else path.path}\0{stat.st_size}\0"
                     f"{stat.st_mtime}")  # fmt: skip
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _files(folder: "UPath") -> "list[UPath]":
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=str)


def local_folder(arrival: Arrival) -> Path:
    """Give the cohort's folder on this machine; one in an object store is copied to ``cohorts/`` in the home folder."""
    if is_local(arrival.folder):
        return Path(arrival.folder.path)
    target = home() / COPIES / arrival.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{arrival.name}.lock")):  # a second arrival may come while this one is copied
        return _copied(arrival, target)


def _copied(arrival: Arrival, target: Path) -> Path:
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
    """Files that are not what ``SHA256SUMS`` says, if there is one.

    Raises
    ------
    SchemaError
        As ``listed_checksums``.
    """
    from upath import UPath

    from gr2st_core.cohorts.files import file_sha256, require_inside

    faults: list[DataError] = []
    if not _has_checksums(UPath(folder)):
        return faults
    for name, expected in listed_checksums(UPath(folder)):
        try:
            found = file_sha256(require_inside(folder / name, folder))
        except DataError as error:
            faults.append(error)
            continue
        except OSError as error:
            faults.append(DataError(
                "a file cannot be read", file=folder / name, found=str(error), hint="copy the file again",
            ))  # fmt: skip
            continue
        if found != expected:
            faults.append(SchemaError(
                "a file is not what its checksum says", file=folder / name, found=found, expected=expected,
                hint="copy the file again",
            ))  # fmt: skip
    return faults
