"""Identity of raw files.

Belongs here: checksums of what lies on disk. Does not belong here: whether it may be read (``cohorts.files``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """Identity of a raw file: the SHA-256 of its bytes, or of the names and bytes of all files in a folder, in hex."""
    if path.is_dir():
        parts = [f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}" for file in files_of(path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_of(folder: Path) -> list[Path]:
    """Everything in a folder that is no folder, links included, sorted."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
