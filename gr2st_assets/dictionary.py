"""The data dictionary: every view of the catalogue with its columns, as a page.

Belongs here: turning the descriptions of ``tables`` into Markdown. Does not belong here: any description of a table.
"""

from collections.abc import Iterator

from gr2st_assets.catalog import SQL_TYPES, joined_spec, union_specs
from gr2st_assets.schema import Column, TableSpec, null_meaning, rules
from gr2st_assets.tables import TABLES, family_prefix

_HEAD = """# Data dictionary

Every view of the catalogue. This page is what `gr2st dictionary` prints, made from the same descriptions as the files,
the checks and the comments in DuckDB (`select column_name, comment from duckdb_columns() where table_name = 'spots'`).

- A **key** names a row; rows join by these columns, never by position. Ids are text and never NULL.
- **NULL** means not measured or not defined, never zero; `avg` and `count(column)` leave it out, and an `order by` of
  DuckDB puts it last in both directions.
- **target units** are those of the row's `target`; never compare across targets:
{targets}
- A view `name_<...>` is there once for every encoder or method; `show tables` lists them.
- Further tables of assets that users added are views too, as their files are; `manifest_files` (table_name, path) lists
  the files behind all of them.
"""
_COLUMNS = "| column | type | unit | meaning | NULL | legal values |"


def page() -> str:
    """Write the dictionary as Markdown."""
    from gr2st_core.expression.targets import TARGET_UNITS

    targets = "\n".join(f"  - `{name}`: {escaped(unit)}" for name, unit in TARGET_UNITS.items())
    parts = [_HEAD.format(targets=targets)]
    group = ""
    for spec in TABLES.values():
        if (start := spec.name.partition("/")[0]) != group and (group := start):
            parts.append(f"\n## {group}\n")
        parts.extend(_table(spec.view, spec, _asset(spec)))
    parts.append("\n## Views over several tables\n")
    for view, spec in union_specs().items():
        parts.extend(_table(view, spec, f"All of `{spec.view}`."))
    parts.extend(_table(joined_spec().name, joined_spec(), "`predictions`, left join `observed`."))
    return "\n".join(parts)


def _asset(spec: TableSpec) -> str:
    each = {"section": ", a file for each section", "fold": ", a file for each fold", None: ""}[spec.partition]
    return f"{'Assets' if family_prefix(spec.name) else 'Asset'} `{spec.name}`{each}."


def _table(view: str, spec: TableSpec, origin: str) -> Iterator[str]:
    unique = "".join(f" Unique, too: {_names(names)}." for names in spec.unique)
    yield f"### `{view}`\n\n{escaped(spec.description)}. {origin} Key: {_names(spec.key)}.{unique}\n"
    yield f"{_COLUMNS}\n{'| --- ' * _COLUMNS.count(' |')}|"
    for column in spec.columns:
        yield f"| {' | '.join(_cells(column))} |"
    yield ""


def _cells(column: Column) -> Iterator[str]:
    yield f"`{column.name}`"
    yield SQL_TYPES[column.type]
    yield escaped(column.unit)
    yield escaped(column.description)
    yield escaped(null_meaning(column) or ("see meaning" if column.nullable else "never"))
    yield escaped("; ".join(rules(column)))


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def escaped(text: str) -> str:
    """Write a text so that Markdown shows it as it is, in a cell of a table too."""
    return "".join(f"\\{char}" if char in "\\`*_<>[]|" else char for char in text)
