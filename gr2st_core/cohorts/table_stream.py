"""Lines of a table on disk, plain or gzipped, within bounds.

Belongs here: opening, unpacking, line and size limits, damage. Does not belong here: what a line means
(``text_table``, ``count_table``).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from gr2st_core.cohorts.faults import Faults

MAX_LINE = 2**22
"""Bytes of a line, at most; a row of 15,000 genes takes 40 thousand."""

_GZIP_MAGIC = b"\x1f\x8b"


def open_table(path: Path) -> BinaryIO:
    """Open a table; one that is called ``.gz``, or is gzip whatever it is called, comes unpacked."""
    with path.open("rb") as stream:
        packed = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return cast("BinaryIO", gzip.open(path, "rb")) if packed or path.suffix == ".gz" else path.open("rb")


def table_lines(path: Path, faults: Faults, *, max_bytes: int) -> Iterator[bytes]:
    """Yield the lines of a table without their ends, until the first fault of the file itself.

    Parameters
    ----------
    faults
        Gets that fault.
    max_bytes
        Unpacked size at which reading stops: a small archive may unpack to anything.
    """
    left = max_bytes
    try:
        with open_table(path) as stream:
            while line := stream.readline(MAX_LINE + 1):
                left -= len(line)
                if len(line) > MAX_LINE:
                    faults.add("a line is too long", file=path, expected=f"at most {MAX_LINE} bytes")
                    return
                if left < 0:
                    faults.add(
                        "a table unpacks to too many bytes",
                        file=path,
                        found=f"more than {max_bytes} bytes",
                        expected=f"at most {max_bytes} bytes",
                        hint="the setting is limits.max_bytes",
                    )
                    return
                yield line.rstrip(b"\r\n")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        faults.add("a gzip file is truncated or damaged", file=path, found=str(error), hint="fetch the file again")


def first_lines(path: Path) -> tuple[str, str]:
    """Read the first two lines of a file to see what it is; empty text where it is not a readable text.

    What is wrong with such a file is said when it is read as what its name says.
    """
    try:
        with open_table(path) as stream:
            lines = stream.readline(MAX_LINE), stream.readline(MAX_LINE)
    except (OSError, EOFError, zlib.error):
        return "", ""
    first, second = (line.rstrip(b"\r\n").decode("utf-8", errors="backslashreplace") for line in lines)
    return first, second
