"""Files of a cohort folder: whether they may be read, and what they are.

Belongs here: what every reader needs whatever its layout. Does not belong here: any layout, any parsing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gr2st_core.errors import MissingArtifactError, SchemaError


def file_sha256(path: Path) -> str:
    """Identity of a raw file: the SHA-256 of its bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_inside(path: Path, folder: Path, *, section: str | None = None) -> Path:
    """Give ``path`` back if it is a regular file that lies in ``folder``, links followed.

    Raises
    ------
    MissingArtifactError
        If there is no such file.
    SchemaError
        If it lies outside ``folder``, or is a pipe, a device or a folder.
    """
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise SchemaError(
            "a file lies outside its cohort folder",
            file=path,
            section=section,
            found=real,
            expected=f"a file below {folder}",
            hint="copy the file into the folder instead of linking it",
        )
    if not real.exists():
        raise MissingArtifactError("a file of the cohort does not exist", file=path, section=section, found=real)
    if not real.is_file():
        raise SchemaError("a cohort holds regular files only", file=path, section=section, expected="a regular file")
    return path
