"""Text of a small table, from a file or from inside a zip archive.

Belongs here: reading at most a fixed number of bytes, nothing unpacked to disk. Does not belong here: what the
columns mean.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from gr2st_core.errors import MissingArtifactError, SchemaError

MAX_BYTES = 256 * 2**20


def read_table_text(path: Path, *, member: str) -> str:
    """Read a table as text.

    Parameters
    ----------
    path
        The table itself, or an archive (``.zip``) that holds it.
    member
        File name inside the archive, in any folder of it.

    Raises
    ------
    MissingArtifactError
        No such file, or no such member.
    SchemaError
        More than ``MAX_BYTES``, a damaged or encrypted archive, two members of that name, or text that is not UTF-8.
    """
    if not path.is_file():
        raise MissingArtifactError("table not found", file=path)
    try:
        content = _zip_member(path, member) if path.suffix == ".zip" else _capped(path)
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SchemaError("a table is UTF-8 text", file=path, found=str(error)) from error


def _capped(path: Path) -> bytes:
    with path.open("rb") as stream:
        return _require_small(stream.read(MAX_BYTES + 1), path)


def _zip_member(path: Path, member: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            found = [entry for entry in archive.infolist() if PurePosixPath(entry.filename).name == member]
            if not found:
                raise MissingArtifactError("archive lacks a member", file=path, expected=member)
            if len(found) > 1 or found[0].flag_bits & 1:
                names = [entry.filename for entry in found]
                raise SchemaError("one member of a name, not encrypted", file=path, found=names, expected=member)
            with archive.open(found[0]) as stream:
                return _require_small(stream.read(MAX_BYTES + 1), path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SchemaError("damaged zip archive", file=path, member=member, found=str(error)) from error


def _require_small(content: bytes, path: Path) -> bytes:
    if len(content) > MAX_BYTES:
        raise SchemaError("table is too large", file=path, expected=f"at most {MAX_BYTES} bytes")
    return content
