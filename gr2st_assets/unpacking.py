"""Tar archives from elsewhere: what is wanted of them, within limits.

Belongs here: judging every member before anything is written, unpacking the wanted ones. Does not belong here: where
archives come from (``downloads``), where their files go in the end (``fetch``).
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from gr2st_assets.downloads import require_room
from gr2st_assets.wanted import relative_path, wanted
from gr2st_core.cohorts.published import Keep
from gr2st_core.errors import SchemaError
from gr2st_core.settings import Limits

MAX_MEMBERS = 100_000
MAX_UNPACKED = 1 << 36
_MAX_READ = 1 << 22  # bytes of a member's header, which tarfile reads whole
_BLOCK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def unpack(archive: Path, folder: Path, keep: Sequence[Keep], limits: Limits) -> list[str]:
    """Unpack the wanted members into ``folder``, which is empty.

    Every member is judged before the first is written: links, devices, pipes, absolute names, ``..``, and sizes beyond
    the limits cost the whole archive.

    Returns
    -------
    Paths below ``folder``, sorted.

    Raises
    ------
    SchemaError
        The archive is damaged or hostile, or lacks what the catalogue expects.
    """
    with _opened(archive) as tar:
        members = list(_judged(tar, archive, limits))
        chosen = wanted([str(PurePosixPath(member.name)) for member in members], keep, file=archive.name)
        require_room(folder, sum(members[index].size for index, _, _ in chosen))
        for index, target, is_packed in sorted(chosen):
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            with cast("IO[bytes]", tar.extractfile(members[index])) as source:
                stream = cast("IO[bytes]", gzip.GzipFile(fileobj=source)) if is_packed else source
                _copy(stream, path, archive, limits)
    return [target for _, target, _ in chosen]


def _judged(tar: tarfile.TarFile, archive: Path, limits: Limits) -> Iterator[tarfile.TarInfo]:
    """Yield the regular files of an archive."""
    total = 0
    for number, member in enumerate(tar, start=1):
        name = relative_path(member.name, file=archive.name)
        tarfile.data_filter(member, "/nonexistent")
        if not (member.isdir() or (member.isreg() and not member.issparse())):
            _refuse(archive, str(name), "a link, device or pipe", "regular files and folders")
        total += member.size
        if member.size > limits.max_bytes:
            _refuse(archive, str(name), f"{member.size} bytes", f"<= {limits.max_bytes}", "limits.max_bytes")
        if total > MAX_UNPACKED or number > MAX_MEMBERS:
            _refuse(archive, str(name), f"{total} bytes in {number} members", f"<= {MAX_UNPACKED} in {MAX_MEMBERS}")
        if member.isreg():
            yield member


def _refuse(archive: Path, member: str, found: str, expected: str, setting: str | None = None) -> None:
    raise SchemaError(
        "an archive holds what it should not", file=archive.name, field=member[:200], found=found, expected=expected,
        hint=setting and f"the setting is {setting}",
    )  # fmt: skip


def _copy(source: IO[bytes], path: Path, archive: Path, limits: Limits) -> None:
    left = limits.max_bytes
    with path.open("xb") as target:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                _refuse(archive, path.name, f"> {limits.max_bytes} bytes", "fewer", "limits.max_bytes")
            target.write(block)


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    with archive.open("rb") as stream:
        is_packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    try:
        with (
            cast("BinaryIO", gzip.open(archive) if is_packed else archive.open("rb")) as stream,
            tarfile.open(fileobj=_SmallReads(stream), mode="r:") as tar,
        ):
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SchemaError(
            "an archive is damaged or hostile", file=archive.name, found=str(error)[:200], expected="a tar file"
        ) from error


class _SmallReads(io.RawIOBase):
    """A stream that gives only so much at once: headers of a hostile archive may claim any length."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"a header of {size} bytes, expected <= {_MAX_READ}")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
