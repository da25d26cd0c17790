"""Questions to the catalogue, safely: one SELECT, files of the manifest only, nothing written.

Belongs here: the locked-down connection and the gate. Does not belong here: building the catalogue (``catalog``),
printing (``sql_formats``).

Three layers, each measured to be needed: the catalogue is attached read-only; DuckDB's own settings let a connection
read the manifest's files and nothing else, and are then locked; and because DuckDB counts ``WITH x AS (COPY ...)`` as
a SELECT, a statement's syntax tree is searched for anything that is not one. They keep an honest user from accidents
and a dishonest one from files and the network. They bound neither the time nor the memory of a single function call:
for strangers, run each query in a process that the operating system limits.

A connection is opened for each query. The catalogue is replaced in whole, never changed, so a query sees one manifest
from its beginning to its end.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upath import UPath

from gr2st_assets.catalog import quoted, register_root
from gr2st_core.errors import Gr2stError, MissingArtifactError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_CONNECT: dict[str, str | bool | int | float | list[str]] = {
    "temp_directory": "",
    "max_expression_depth": 250,
    "allow_unsigned_extensions": False,
    "allow_community_extensions": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}
_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_FUNCTIONS = {
    "glob",
    "json_execute_serialized_sql",
    "query",
    "query_table",
    "read_blob",
    "read_text",
    "sleep_ms",
    "write_log",
}


class QueryError(Gr2stError):
    """A query was refused or failed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use.

    Attributes
    ----------
    rows
        Rows returned, at most; more are cut off and said to be.
    seconds
        Running time, checked between chunks of work.
    memory_mb
        DuckDB's buffers; nothing is spilled to disk.
    sql_bytes
        Length of the query text.
    """

    rows: int = 10_000
    seconds: float = 60.0
    memory_mb: int = 4096
    threads: int = 2
    sql_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of an answer, and whether there were more than the limit."""

    table: "pa.Table"
    is_cut: bool


def run_query(
    catalog: Path | str,
    sql: str,
    *,
    params: Sequence[object] | Mapping[str, object] = (),
    limits: Limits | None = None,
) -> QueryResult:
    """Answer one SELECT over the catalogue's views.

    Parameters
    ----------
    params
        Values of ``$1``, ``$2`` ... or, as a mapping, of ``$name``.

    Raises
    ------
    MissingArtifactError
        There is no catalogue yet.
    QueryError
        Anything but one SELECT, a file outside the manifest, or what DuckDB refuses; the message says which.
    """
    import duckdb
    import pyarrow as pa

    limits = limits or Limits()
    if len(sql.encode()) > limits.sql_bytes:
        raise QueryError("the query is too long", found=len(sql.encode()), expected=f"<= {limits.sql_bytes} bytes")
    try:
        with _open(Path(catalog), limits) as connection:
            statement = _only_select(connection, sql)
            return _fetch(connection.sql(statement, params=params or None), limits.rows)
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # a stream of rows reports DuckDB's errors as OSError
        raise QueryError(str(error)) from error


@contextmanager
def _open(catalog: Path, limits: Limits) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Connect and lock down; the order of the settings matters."""
    import duckdb

    if not catalog.is_file():
        raise MissingArtifactError("there is no catalogue", file=catalog, hint="materialize the catalog asset")
    # attached to a database of its own: DuckDB shares a file opened twice in a process, with its locked settings
    config = {**_CONNECT, "threads": limits.threads, "memory_limit": f"{limits.memory_mb}MB"}
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute(f"ATTACH {quoted(str(catalog))} AS lake (READ_ONLY)")
        connection.execute("USE lake")
        files = [path for (path,) in connection.execute("SELECT path FROM manifest_files").fetchall()]
        if files:
            register_root(connection, UPath(files[0]))
        for setting in (
            f"allowed_paths = [{', '.join(quoted(file) for file in files)}]",
            "enable_external_access = false",
            "allow_extension_repositories = 'forbidden'",
            "enable_external_file_cache = false",
            "enable_progress_bar = false",  # without a script file DuckDB would draw one on standard output
            f"max_execution_time = {round(limits.seconds * 1000)}",
            "allowed_configs = []",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
        yield connection


def _only_select(connection: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.Statement":
    """Parse; refuse anything but one SELECT whose syntax tree reads only.

    Raises
    ------
    QueryError
    """
    import duckdb

    statements = connection.extract_statements(sql)
    kinds = [statement.type for statement in statements]
    if kinds != [duckdb.StatementType.SELECT]:
        raise QueryError("exactly one SELECT, please", found=[kind.name for kind in kinds])
    [(text,)] = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise QueryError("the query is nested too deeply") from error
    if tree["error"]:
        raise QueryError("the query cannot be examined", found=tree["error_message"])
    if refused := sorted(set(_refused(tree))):
        raise QueryError("a query may only read the views of the catalogue", found=refused)
    return statements[0]


def _refused(tree: Any) -> Iterator[str]:
    """Names of nodes that are not SELECT, and of functions that reach beyond the catalogue."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            kind, function = str(part.get("type")), str(part.get("function_name")).lower()
            if kind.endswith("_NODE") and kind not in _NODES:
                yield kind
            if function in _FUNCTIONS:
                yield function
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


def _fetch(answer: "duckdb.DuckDBPyRelation", limit: int) -> QueryResult:
    import pyarrow as pa

    reader = answer.to_arrow_reader(limit + 1)
    batches: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in batches) <= limit:
        try:
            batches.append(reader.read_next_batch())
        except StopIteration:
            break
    table = pa.Table.from_batches(batches, schema=reader.schema)
    return QueryResult(table.slice(0, limit), len(table) > limit)
