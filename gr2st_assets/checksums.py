"""Whether a file is what its publisher says it is.

Belongs here: checksums of the kinds that publishers give. Does not belong here: digests of the lake (``publish``),
where checksums stand (``published_cohorts.yml``, ``listings``).
"""

import hashlib
from functools import partial
from pathlib import Path

from gr2st_core.cohorts.published import UNKNOWN
from gr2st_core.errors import SchemaError


def digest_of(path: Path, kind: str) -> str:
    """Digest of a file in hex: ``sha256``, ``md5``, or ``git``, the id that git gives a blob of this content."""
    start = f"blob {path.stat().st_size}\0".encode() if kind == "git" else b""
    new = partial(hashlib.new, "sha1" if kind == "git" else kind, start, usedforsecurity=False)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, new).hexdigest()


def require_checksum(path: Path, checksum: str, *, name: str | None = None) -> None:
    """Refuse a file that is not what ``checksum`` says; nothing is unknown's.

    Parameters
    ----------
    name
        Of the file in the message, where ``path`` is not what a person knows it by.

    Raises
    ------
    SchemaError
    """
    kind, _, expected = checksum.partition(":")
    if checksum != UNKNOWN and (found := digest_of(path, kind)) != expected:
        raise SchemaError(
            "a file is not what its checksum says",
            file=name or path,
            field=kind,
            found=found,
            expected=expected,
            hint="fetch it again; if that does not help, the publisher's file has changed",
        )
