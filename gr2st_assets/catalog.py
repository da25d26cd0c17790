"""The catalogue: one small DuckDB file of views over the parquet files that a manifest names.

Belongs here: building the file. Does not belong here: choosing the files (``manifest``), asking questions (``sql``),
rows of any table; the catalogue holds none but what provenance says of models, so losing it costs a second.

Every table of ``tables`` has a view with its columns, empty until there are files, so that a query written for one
lake works on any. Other tables, of assets that users added, are shown as their files are. The file is built aside and
replaced in one step: a reader has the old one or the new.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gr2st_assets.publish import crash_point, is_local, write_atomic
from gr2st_assets.schema import Column, ColumnType, TableSpec, meaning
from gr2st_assets.tables import TABLES, family_prefix, table_spec
from gr2st_core.errors import MissingArtifactError, SchemaError

if TYPE_CHECKING:
    import duckdb
    from upath import UPath

UNIONS = {"predictions": "predictions/predictions_<predictor>", "training_history": "models/model_<predictor>"}
"""Views over all members of a family."""

JOINED = "predictions_with_observed"
"""View of ``predictions`` beside ``observed``."""

_SELECT_JOINED = """
SELECT p.*, o.observed FROM predictions p
LEFT JOIN observed o USING (fold_id, panel, target, cohort, section_id, spot_id, gene)
"""
_LIST_FILES = "INSERT INTO manifest_files SELECT $1, unnest($2::VARCHAR[])"
SQL_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "binary": "BLOB",
    "list<float32>": "FLOAT[]",
}
"""How DuckDB calls what the parquet files hold."""


def build_catalog(
    root: "UPath | str",
    manifest: Mapping[str, Sequence[str]],
    path: "UPath | Path | str",
    rows: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
) -> list[str]:
    """Write the catalogue of a manifest, replacing the one before in one step.

    Parameters
    ----------
    root
        Root of the lake; every file lies below it.
    manifest
        Absolute paths or URLs of each table's parquet files, keyed by ``group/asset``.
    path
        Local file to write.
    rows
        Rows of tables that have no files, each with a value for every column.

    Returns
    -------
    Tables that are not in ``tables`` and could not be shown, with the reason: another view has the name of their
    asset, or a file cannot be read.

    Raises
    ------
    SchemaError
        A file outside the lake.
    MissingArtifactError
        A file of a table of ``tables`` that cannot be read.
    """
    from upath import UPath

    files = {name: [_below(UPath(root), file) for file in paths] for name, paths in manifest.items()}
    specs = _specs([*_tables_without_family(), *manifest])
    with tempfile.TemporaryDirectory(prefix="gr2st-") as folder:
        built = Path(folder) / "catalog.duckdb"
        left_out = _build(built, UPath(root), specs, files, rows)
        crash_point("catalog.built")
        write_atomic(UPath(path), built.read_bytes())
    return left_out


def quoted(text: str) -> str:
    """Write a text as SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def register_root(connection: "duckdb.DuckDBPyConnection", root: "UPath") -> None:
    """Let a connection read a lake that is not on the local disk."""
    if not is_local(root):
        connection.register_filesystem(root.fs)


def _build(
    path: Path,
    root: "UPath",
    specs: Mapping[str, TableSpec],
    files: Mapping[str, list[str]],
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[str]:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        register_root(connection, root)
        connection.execute("BEGIN")  # else every statement waits for the disk
        connection.execute("CREATE TABLE manifest_files (table_name VARCHAR NOT NULL, path VARCHAR NOT NULL)")
        for name, spec in specs.items():
            paths = files.get(name, [])
            connection.execute(_LIST_FILES, [name, paths])
            select = _select_rows(spec, own) if (own := rows.get(name)) else _select_files(connection, spec, paths)
            _create_view(connection, spec.view, select, spec)
        for view, spec in union_specs().items():
            members = [member for name, member in specs.items() if name.startswith(family_prefix(spec.name))]
            _create_view(connection, view, _select_union(spec, members), spec)
        _create_view(connection, JOINED, _SELECT_JOINED, joined_spec())
        connection.execute("COMMIT")
        return _create_added(connection, {name: files[name] for name in sorted(files) if name not in specs})


def _create_added(connection: "duckdb.DuckDBPyConnection", files: Mapping[str, list[str]]) -> list[str]:
    """Show what users added, each table by itself: none of it may cost the project's own views."""
    import duckdb

    left_out = []
    for name, paths in files.items():
        view = name.partition("/")[2]
        try:
            if paths:
                connection.execute(f"CREATE VIEW {_quote(view)} AS FROM {_read_parquet(paths, by_name=True)}")
            connection.execute(_LIST_FILES, [name, paths])
        except duckdb.Error as error:
            left_out.append(f"{name} is not in the catalogue: {error}")
    return left_out


def _specs(names: Iterable[str]) -> dict[str, TableSpec]:
    """Find the tables of ``tables`` among the names, sorted."""
    specs = {}
    for name in sorted(set(names)):
        with suppress(SchemaError):
            specs[name] = table_spec(name)
    return specs


def _tables_without_family() -> list[str]:
    return [name for name in TABLES if not family_prefix(name)]


def union_specs() -> dict[str, TableSpec]:
    """Describe the views over families."""
    return {view: TABLES[family] for view, family in UNIONS.items()}


def _below(root: "UPath", file: str) -> str:
    """Spell a file the way DuckDB asks a filesystem for it; refuse one outside the lake."""
    from upath import UPath

    if is_local(root):
        path = UPath(Path(UPath(file).path).absolute())
        base, spelled = UPath(Path(root.path).absolute()), path.path
    else:
        path = type(root)(file, **root.storage_options)
        base, spelled = root, str(root.fs.unstrip_protocol(path.path))
    if base not in path.parents or ".." in path.parts:
        raise SchemaError("a file of the manifest lies outside the lake", file=file, expected=str(root))
    return spelled


def _select_files(connection: "duckdb.DuckDBPyConnection", spec: TableSpec, files: list[str]) -> str:
    if not files:
        return _select_nothing(spec)
    present = _columns_by_file(connection, spec, files)
    known = set.union(*present)
    columns = ", ".join(_name(c) if c.name in known else _null(c) for c in spec.columns)
    # files of an older version may lack a column; looking for that in every query would cost every query
    by_name = any(names != known for names in present)
    return f"SELECT {columns} FROM {_read_parquet(files, by_name=by_name)}"  # noqa: S608 (names and literals are quoted)


def _select_rows(spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(_name(column) for column in spec.columns)
    typed = ", ".join(f"{_name(column)}::{SQL_TYPES[column.type]} AS {_name(column)}" for column in spec.columns)
    values = ", ".join(f"({', '.join(_literal(row[column.name]) for column in spec.columns)})" for row in rows)
    return f"SELECT {typed} FROM (VALUES {values}) AS listed({names})"  # noqa: S608 (names and literals are quoted)


def _literal(value: str | float | None) -> str:
    return "NULL" if value is None else quoted(value) if isinstance(value, str) else repr(value)


def _read_parquet(files: Sequence[str], *, by_name: bool) -> str:
    listed = ", ".join(quoted(file) for file in files)
    return f"read_parquet([{listed}], hive_partitioning=false, union_by_name={by_name})"


def _columns_by_file(connection: "duckdb.DuckDBPyConnection", spec: TableSpec, files: list[str]) -> list[set[str]]:
    import duckdb

    query = "SELECT list(name) FROM parquet_schema($1) WHERE list_contains($2, name) GROUP BY file_name"
    try:
        return [set(names) for (names,) in connection.execute(query, [files, spec.column_names]).fetchall()]
    except duckdb.Error as error:
        raise MissingArtifactError(f"a file of the manifest cannot be read: {error}", table=spec.name) from error


def _select_union(spec: TableSpec, members: Sequence[TableSpec]) -> str:
    return " UNION ALL ".join(f"FROM {_quote(member.view)}" for member in members) or _select_nothing(spec)


def _select_nothing(spec: TableSpec) -> str:
    return f"SELECT {', '.join(_null(column) for column in spec.columns)} WHERE false"


def _create_view(connection: "duckdb.DuckDBPyConnection", view: str, select: str, spec: TableSpec) -> None:
    connection.execute(f"CREATE VIEW {_quote(view)} AS {select}")
    connection.execute(f"COMMENT ON VIEW {_quote(view)} IS {quoted(spec.description)}")
    for column in spec.columns:
        connection.execute(f"COMMENT ON COLUMN {_quote(view)}.{_name(column)} IS {quoted(meaning(column))}")


def joined_spec() -> TableSpec:
    """Describe the view of predictions beside what was measured."""
    predicted, observed = TABLES[UNIONS["predictions"]], TABLES["predictions/observed"]
    beside = replace(observed.columns[-1], nullable=True, null="where nothing was measured")
    about = "Predictions beside what was measured; NULL where nothing was"
    return TableSpec(JOINED, about, predicted.key, (*predicted.columns, beside))


def _null(column: Column) -> str:
    return f"NULL::{SQL_TYPES[column.type]} AS {_name(column)}"


def _name(column: Column) -> str:
    return _quote(column.name)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
