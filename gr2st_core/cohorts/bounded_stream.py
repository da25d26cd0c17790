"""Files, plain or gzipped, as streams that end with an error where they grow beyond a limit.

Belongs here: what a library's parser is handed. Does not belong here: tables that are read line by line
(``table_stream``).
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from gr2st_core.cohorts.table_stream import open_table
from gr2st_core.errors import SchemaError
from gr2st_core.settings import Limits

DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a truncated or damaged gzip file raises."""


class _Bounded(io.RawIOBase):
    """Passes the bytes of another stream on until there are too many."""

    def __init__(self, stream: BinaryIO, path: Path, limits: Limits) -> None:
        self._stream: Any = stream
        self._path = path
        self._limit = limits.max_bytes
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n_read = int(self._stream.readinto(buffer))
        self._seen += n_read
        if self._seen > self._limit:
            raise SchemaError(
                "a file unpacks to too many bytes",
                file=self._path,
                field="limits.max_bytes",
                found=f"more than {self._limit}",
                expected=f"at most {self._limit}",
                hint="raise limits.max_bytes in the settings if the machine has the memory",
            )
        return n_read

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_bounded(path: Path, limits: Limits) -> io.BufferedReader:
    """Open a file for reading, unpacked if it is gzipped.

    Reading on past ``limits.max_bytes`` raises a ``SchemaError``; a damaged archive raises one of ``DAMAGED``.
    """
    return io.BufferedReader(_Bounded(open_table(path), path, limits))
