"""The process that answers one query (``python -m gr2st_assets.sandbox_child ORDER``) and ends.

Belongs here: confining itself, answering, saying what came of it. Does not belong here: starting this process and
ending it in time (``sandbox``), settings and gate of DuckDB (``sql``).

The order (catalogue, limits, whether the lake needs the network) is JSON; the query comes on standard input only when
everything is locked. Each answer on standard output is a line of JSON: first that it is ready, then an error, or what
is known of the rows, which follow as an Arrow stream.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gr2st_assets.confinement import forbid_changes, limit_resources
from gr2st_assets.sql_refusals import Limits, QueryError
from gr2st_core.errors import Gr2stError

if TYPE_CHECKING:
    import duckdb


def main() -> None:
    """Answer the one query."""
    order = json.loads(sys.argv[1])
    answers, nowhere = os.fdopen(os.dup(1), "wb"), os.open(os.devnull, os.O_WRONLY)
    is_confined = forbid_changes(network=order["network"])
    from gr2st_assets.sql import open_locked

    limits = Limits(**order["limits"])
    try:
        # half for DuckDB's buffers: it then stops by itself before the system refuses it memory
        with open_locked(Path(order["catalog"]), replace(limits, memory_mb=limits.memory_mb // 2)) as connection:
            for stream in (1, 2):  # what libraries print while they die is no answer
                os.dup2(nowhere, stream)
            limit_resources(limits.memory_mb, limits.seconds * limits.threads)
            _say(answers, {"is_confined": is_confined})
            header, rows = reply(connection, json.load(sys.stdin), limits)
    except Gr2stError as error:
        header, rows = _fault(error), b""
    _say(answers, header)
    answers.write(rows)
    answers.flush()


def reply(
    connection: "duckdb.DuckDBPyConnection", request: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Any], bytes]:
    """Answer ``sql`` with ``params`` of a request: what is known of the rows, and they as an Arrow stream."""
    from gr2st_assets.sql import answer

    try:
        found = answer(connection, request["sql"], request["params"], limits)
        rows = _stream(found.table)
        return {"is_cut": found.is_cut, "n_bytes": len(rows)}, rows
    except Gr2stError as error:
        return _fault(error), b""
    except MemoryError:
        return _fault(QueryError.of_memory(limits)), b""


def _stream(table: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _fault(error: Gr2stError) -> dict[str, Any]:
    return {"error": {"kind": type(error).__name__, "message": error.message, "context": error.context}}


def _say(answers: BinaryIO, what: Mapping[str, Any]) -> None:
    answers.write(json.dumps(what, default=str).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
