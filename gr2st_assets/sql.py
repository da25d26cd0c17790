"""Questions to the catalogue, safely: one SELECT, files of the manifest only, nothing written.

Belongs here: the locked-down connection and the gate. Does not belong here: building the catalogue (``catalog``), what
refusals say (``sql_refusals``), a process for each query (``sandbox``), printing (``sql_formats``).

Three layers, each measured to be needed: the catalogue is attached read-only; DuckDB's own settings let a connection
read the manifest's files and nothing else, and are then locked; and because DuckDB counts ``WITH x AS (COPY ...)`` as
a SELECT, a statement's syntax tree is searched for anything that is not one. Files are allowed one by one
(``allowed_paths``), never by folder: a folder that may be read may be written, and holds what no manifest names.

They bound neither the time nor the memory of a single function call, and a file that may be read may be overwritten in
place by a statement that slipped through the gate. The project's own queries run here; those of people run in
``sandbox``, where the operating system limits and forbids.

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
from gr2st_assets.sql_refusals import ONLY_VIEWS, Limits, QueryError, require_short
from gr2st_core.errors import MissingArtifactError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["Limits", "QueryError", "QueryResult", "answer", "open_locked", "run_query"]

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
"""Refused wherever they stand."""
_TABLE_FUNCTIONS = {
    *("generate_series", "json_each", "json_tree", "range", "repeat", "unnest"),
    *("parquet_file_metadata", "parquet_kv_metadata", "parquet_metadata", "parquet_schema", "read_parquet"),
    *("duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_settings", "duckdb_tables", "duckdb_types"),
    *("duckdb_views", "histogram", "histogram_values", "pragma_show", "pragma_table_info", "pragma_version", "summary"),
}
"""All that may stand in FROM: others take pointers, change settings, keep logs or run SQL of their own, and every
version of DuckDB brings some more."""


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
    limits = limits or Limits()
    with open_locked(Path(catalog), limits) as connection:
        return answer(connection, sql, params, limits)


def answer(
    connection: "duckdb.DuckDBPyConnection",
    sql: str,
    params: Sequence[object] | Mapping[str, object],
    limits: Limits,
) -> QueryResult:
    """Answer one SELECT on a locked connection.

    Raises
    ------
    QueryError
    """
    import duckdb
    import pyarrow as pa

    require_short(sql, limits)
    try:
        statement = _only_select(connection, sql)
        return _fetch(connection.sql(statement, params=params or None), limits)
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # a stream of rows reports DuckDB's errors as OSError
        raise QueryError.of_duckdb(error, limits) from error


@contextmanager
def open_locked(catalog: Path, limits: Limits) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Connect and lock down; the order of the settings matters.

    Raises
    ------
    MissingArtifactError
        There is no catalogue yet.
    QueryError
        The file is no catalogue.
    """
    import duckdb

    if not catalog.is_file():
        raise MissingArtifactError("there is no catalogue", file=catalog, hint="materialize the catalog asset")
    # attached to a database of its own: DuckDB shares a file opened twice in a process, with its locked settings
    config = {**_CONNECT, "threads": limits.threads, "memory_limit": f"{limits.memory_mb}MB"}
    with duckdb.connect(":memory:", config=config) as connection:
        try:
            _attach_and_lock(connection, catalog, limits)
        except duckdb.Error as error:
            raise QueryError.of_duckdb(error, limits) from error
        yield connection


def _attach_and_lock(connection: "duckdb.DuckDBPyConnection", catalog: Path, limits: Limits) -> None:
    # without a script file DuckDB would draw one on standard output, on a busy machine while it attaches already
    connection.execute("SET enable_progress_bar = false")
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
        f"max_execution_time = {round(limits.seconds * 1000)}",
        "allowed_configs = []",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def _only_select(connection: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.Statement":
    """Parse; refuse anything but one SELECT whose syntax tree reads only.

    Raises
    ------
    QueryError
    """
    import duckdb

    statements = connection.extract_statements(sql)
    kinds = [_kind(statement) for statement in statements]
    if kinds != [duckdb.StatementType.SELECT.name]:
        hint = "DESCRIBE, SHOW TABLES and SUMMARIZE are answered, too; nothing can be written or set"
        raise QueryError("exactly one SELECT, please", found=kinds, hint=hint)
    [(text,)] = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    try:
        tree = json.loads(text)
    except RecursionError as error:
        raise QueryError("the query is nested too deeply", hint="use a list or a join") from error
    if tree["error"]:
        raise QueryError("the query cannot be examined", found=tree["error_message"], hint="write it as a plain SELECT")
    if refused := sorted(set(_refused(tree))):
        raise QueryError("a query may only read the views of the catalogue", found=refused, hint=ONLY_VIEWS)
    return statements[0]


def _kind(statement: "duckdb.Statement") -> str:
    try:
        return statement.type.name
    except ValueError:  # UPDATE EXTENSIONS is of a kind that DuckDB's Python side has no name for
        return "UNKNOWN"


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
            if kind == "TABLE_FUNCTION" and (name := _called(part)) not in _TABLE_FUNCTIONS | _FUNCTIONS:
                yield name
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)


def _called(part: Mapping[str, Any]) -> str:
    return str(part.get("function", {}).get("function_name")).lower()


def _fetch(answer: "duckdb.DuckDBPyRelation", limits: Limits) -> QueryResult:
    import pyarrow as pa

    reader = answer.to_arrow_reader(limits.rows + 1)
    batches: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    while n_rows <= limits.rows:
        try:
            batches.append(reader.read_next_batch())
        except StopIteration:
            break
        n_rows, n_bytes = n_rows + batches[-1].num_rows, n_bytes + batches[-1].nbytes
        if n_bytes > limits.answer_bytes:
            hint = "choose columns, aggregate, or raise --memory"
            raise QueryError(
                "the answer is too large", found=n_bytes, expected=f"<= {limits.answer_bytes} bytes", hint=hint
            )
    table = pa.Table.from_batches(batches, schema=reader.schema)
    return QueryResult(table.slice(0, limits.rows), len(table) > limits.rows)
