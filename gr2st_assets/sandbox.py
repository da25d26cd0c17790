"""One query, one process: what a query breaks, and what it may not do, ends with that process.

Belongs here: starting it with an environment of its own, asking, and ending it by the wall clock. Does not belong
here: what happens inside (``sandbox_child``, ``sql``), arguments and formats (``cli``, ``sql_formats``).

DuckDB's own limits stop a query between two chunks of work, never inside one call of a function: that takes a process
with a limit on its address space and its processor seconds, and somebody outside who ends it.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_assets.sql_refusals import Limits, QueryError, require_short
from gr2st_core.errors import Gr2stError, MissingArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

SHIPPED = Limits(seconds=3.0, memory_mb=1024, threads=1)
"""What a query may use unless its asker says otherwise: with its start it ends within 6 s and 1 GiB."""

GRACE_S = 0.5
"""Between the moment a query should have ended by itself and its process being killed."""

_START_S = 120.0  # importing on a machine that does something else; nothing of the asker's runs yet
_ROOM_BYTES = 1 << 20  # for all but the rows
_CHUNK_BYTES = 1 << 16
_KEPT = ("LD_LIBRARY_PATH", "TZ")
_STORE = (
    "AWS_",
    "AZURE_",
    "FSSPEC_",
    "GCSFS_",
    "GOOGLE_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_",
    "HOME",
)
_KINDS: dict[str, type[Gr2stError]] = {kind.__name__: kind for kind in (QueryError, MissingArtifactError)}


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of an answer, whether there were more, and whether the system forbade the process to write."""

    table: "pa.Table"
    is_cut: bool
    is_confined: bool


def ask(
    catalog: Path | str,
    sql: str,
    *,
    params: Mapping[str, str] | None = None,
    limits: Limits = SHIPPED,
    is_remote: bool = False,
) -> Answer:
    """Answer one SELECT over the catalogue's views in a process of its own.

    Parameters
    ----------
    params
        Values of ``$name``, as text; DuckDB reads them as the type that they are compared with.
    is_remote
        Whether the lake is reached over the network: the process is then given the variables that name stores and
        their credentials, else none.

    Raises
    ------
    MissingArtifactError
        There is no catalogue yet.
    QueryError
        Refused, failed, or ended at a limit; ``hint`` says what to do.
    """
    request = json.dumps({"sql": sql, "params": dict(params or {})})
    require_short(sql, limits)
    require_short(request, Limits(sql_bytes=2 * limits.sql_bytes))
    order = {"catalog": str(Path(catalog).absolute()), "limits": asdict(limits), "network": is_remote}
    with _started(order, _environment(is_remote=is_remote)) as child:
        ready = _header(child, _Reader(child, _START_S), limits)
        try:
            child.stdin.write(request.encode())
            child.stdin.close()
        except BrokenPipeError as error:
            raise _death(child.wait()) from error
        reader = _Reader(child, limits.seconds + GRACE_S)
        header = _header(child, reader, limits)
        rows = reader.rest(limits.answer_bytes + _ROOM_BYTES)
        if len(rows) != header["n_bytes"]:
            raise _ended(child, reader, limits)
    return Answer(_table(rows), header["is_cut"], ready["is_confined"])


@contextmanager
def _started(order: Mapping[str, Any], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    # -P: a module in the current folder is none of ours
    command = [sys.executable, "-P", "-s", "-W", "ignore", "-m", "gr2st_assets.sandbox_child", json.dumps(order)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _environment(*, is_remote: bool) -> dict[str, str]:
    """Variables of the process: none of the asker's but where libraries, time zone and a remote store are."""
    own = {
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "LC_ALL": "C.UTF-8",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",  # each arena, and each thread of a library, reserves address space
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    kept = (*_KEPT, *_STORE) if is_remote else _KEPT
    return {name: value for name, value in os.environ.items() if name.upper().startswith(kept)} | own


class _Reader:
    """Reads what the process says until a moment, then ends it."""

    def __init__(self, child: "subprocess.Popen[bytes]", seconds: float) -> None:
        self._child, self._stop, self._read, self.is_late = child, time.monotonic() + seconds, b"", False

    def line(self) -> bytes:
        """Read up to the next line's end; less if the process ended before."""
        while b"\n" not in self._read and (chunk := self._chunk()):
            self._read += chunk
        line, end, self._read = self._read.partition(b"\n")
        return line + end

    def rest(self, most: int) -> bytes:
        """Read to the end, ``most`` bytes at most."""
        parts, size = [self._read], len(self._read)
        while size <= most and (chunk := self._chunk()):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)

    def _chunk(self) -> bytes:
        with selectors.DefaultSelector() as ready:
            ready.register(self._child.stdout, selectors.EVENT_READ)
            if ready.select(max(0.0, self._stop - time.monotonic())):
                return os.read(self._child.stdout.fileno(), _CHUNK_BYTES)
        self.is_late = True
        self._child.kill()
        return b""


def _header(child: "subprocess.Popen[bytes]", reader: _Reader, limits: Limits) -> dict[str, Any]:
    """Read the next line as JSON; raise what it says went wrong, or what ended the process."""
    line = reader.line()
    if not line.endswith(b"\n"):
        raise _ended(child, reader, limits)
    header: dict[str, Any] = json.loads(line)
    if "error" in header:
        error = header["error"]
        raise _KINDS[error["kind"]](error["message"], **error["context"])
    return header


def _ended(child: "subprocess.Popen[bytes]", reader: _Reader, limits: Limits) -> QueryError:
    code = child.wait()
    return QueryError.of_time(limits) if reader.is_late or code == -signal.SIGXCPU else _death(code)


def _death(code: int) -> QueryError:
    found = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return QueryError("the query ended its process", found=found, hint="ask for less, or raise --memory")


def _table(rows: bytes) -> "pa.Table":
    import pyarrow as pa

    return pa.ipc.open_stream(rows).read_all()
