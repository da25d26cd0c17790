"""One file over the network: resumed, checked, and never half there.

Belongs here: the ``.part`` file and how it goes on, tries, lengths, room on the disk. Does not belong here: which
addresses are allowed (``addresses``), digests (``checksums``), which files are wanted (``fetch``).
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gr2st_assets.addresses import InterruptedTransferError, answer_to, read_block
from gr2st_assets.checksums import require_checksum
from gr2st_core.cohorts.published import UNKNOWN
from gr2st_core.errors import DataError, MissingArtifactError, SchemaError

PAUSES_S = (1.0, 5.0, 20.0)
"""Before each further try."""

_BLOCK = 1 << 20
_TELL_EVERY = 1 << 26
_MAX_BYTES = 1 << 36
_SPARE = 1 << 28  # what a download leaves free on the disk
_PARTIAL, _BEYOND = 206, 416


class GivenUpError(MissingArtifactError):
    """Every try to fetch a file was interrupted."""


def download(
    url: str, path: Path, checksum: str, tell: Callable[[str], None], *, pauses_s: Sequence[float] = PAUSES_S
) -> None:
    """Fetch ``url`` into ``path``, going on where an earlier call stopped.

    A ``.part`` file goes on only where it can be told that it belongs to the same file: by the checksum in the end, or
    by what the server called the file (``.tag``).

    Parameters
    ----------
    checksum
        ``sha256:``, ``md5:`` or ``git:`` and hexadecimal digits, or ``unknown``.
    tell
        Gets a line now and then.

    Raises
    ------
    SchemaError
        The file is not what its checksum says, is too large, or its address is not allowed; nothing is kept.
    GivenUpError
        Every try was interrupted; what came is kept.
    MissingArtifactError
        The server refuses.
    DataError
        The disk has not enough room.
    """
    part = Path(f"{path}.part")
    for number, pause in enumerate((*pauses_s, None), start=1):
        try:
            _transfer(url, part, checksum, tell)
            break
        except InterruptedTransferError as error:
            if pause is None:
                raise GivenUpError(
                    "a file could not be fetched",
                    file=url,
                    found=f"{error}, {number} times",
                    hint="run the command again: it goes on where this one stopped",
                ) from error
            tell(f"{path.name}: {error}; once more in {pause:g} s")
            time.sleep(pause)
    _tag_of(part).unlink(missing_ok=True)
    try:
        require_checksum(part, checksum, name=url)
    except DataError:
        part.unlink()
        raise
    part.replace(path)


def require_room(folder: Path, needed: int) -> None:
    """Refuse to write ``needed`` bytes to a disk that has no room for them.

    Raises
    ------
    DataError
    """
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise DataError(
            "the disk has not enough room", file=folder, found=f"{free} bytes free", expected=f"{needed + _SPARE}"
        )


def _transfer(url: str, part: Path, checksum: str, tell: Callable[[str], None]) -> None:
    """Ask once for what ``part`` lacks, and write it there."""
    tag = _tag_of(part).read_text(encoding="latin-1") if _tag_of(part).exists() else ""
    start = part.stat().st_size if part.exists() and (tag or checksum != UNKNOWN) else 0
    headers = {"Range": f"bytes={start}-", **({"If-Range": tag} if tag else {})} if start else {}
    with answer_to(url, headers) as answer:
        if answer.status == _BEYOND:
            if _numbers(answer.headers.get("Content-Range"))[-1:] != [start]:
                part.unlink()
                raise InterruptedTransferError("the server's file is shorter than what is here")
            return
        start = _start(answer, start, part)
        total = _total(answer, start, url, checksum)
        require_room(part.parent, (total or 0) - start)
        _remember_tag(answer, part)
        _write(answer, part, start, total, tell)
    if total is not None and (size := part.stat().st_size) != total:
        raise InterruptedTransferError(f"{size} of {total} bytes came")


def _start(answer: Any, asked: int, part: Path) -> int:
    """Where the answer's bytes belong: 0 unless it is the rest that was asked for."""
    if answer.status != _PARTIAL:
        return 0
    if _numbers(answer.headers.get("Content-Range"))[:1] != [asked]:
        part.unlink(missing_ok=True)
        raise InterruptedTransferError("the server gives another part of the file than was asked for")
    return asked


def _total(answer: Any, start: int, url: str, checksum: str) -> int | None:
    """Size of the whole file; None where the server does not say it but the end will show."""
    length = answer.headers.get("Content-Length")
    if length is not None and length.isascii() and length.isdigit():
        return start + int(length)
    if checksum == UNKNOWN and answer.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise SchemaError(
            "nobody could tell a whole file from a part of it", file=url, field="Content-Length", found=length,
            expected="a length, or a checksum in the catalogue",
        )  # fmt: skip
    return None


def _write(answer: Any, part: Path, start: int, total: int | None, tell: Callable[[str], None]) -> None:
    done = start
    with part.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        while block := read_block(answer, _BLOCK):
            if (done + len(block)) > _MAX_BYTES:
                raise SchemaError("a file is too large", file=part, found=f"> {_MAX_BYTES} bytes", expected="less")
            stream.write(block)
            if done // _TELL_EVERY != (done := done + len(block)) // _TELL_EVERY:
                tell(f"{part.stem}: {done / 1e6:,.0f}{'' if total is None else f' of {total / 1e6:,.0f}'} MB")
        stream.flush()
        os.fsync(stream.fileno())


def _tag_of(part: Path) -> Path:
    return part.with_suffix(".tag")


def _remember_tag(answer: Any, part: Path) -> None:
    """Keep what the server calls this version of the file; a weak tag may stand for different bytes."""
    tag = answer.headers.get("ETag") or ""
    tag = answer.headers.get("Last-Modified") or "" if not tag or tag.startswith("W/") else tag
    if tag:
        _tag_of(part).write_text(tag, encoding="latin-1")
    else:
        _tag_of(part).unlink(missing_ok=True)


def _numbers(text: str | None) -> list[int]:
    """Numbers of a ``Content-Range``: start, end, size."""
    return [int(number) for number in re.findall(r"[0-9]+", text or "")]
