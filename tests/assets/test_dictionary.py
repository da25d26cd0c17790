"""The data dictionary is made from the tables, and DuckDB's comments say the same."""

from pathlib import Path

import duckdb
import pytest

from gr2st_assets.catalog import UNIONS, joined_spec, union_specs
from gr2st_assets.dictionary import escaped, page
from gr2st_assets.schema import Column, meaning
from gr2st_assets.tables import TABLES, family_prefix

PAGE = Path(__file__).parents[2] / "docs" / "data_dictionary.md"
VIEWS = {
    **{spec.view: spec for spec in TABLES.values() if not family_prefix(spec.name)},
    **union_specs(),
    joined_spec().name: joined_spec(),
}


def test_the_page_is_what_the_tables_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "gr2st dictionary > docs/data_dictionary.md"


def test_every_view_has_its_columns_in_a_table_that_markdown_keeps():
    parts = {part.partition("`")[0]: part for part in page().split("\n### `")[1:]}
    assert set(parts) == {*VIEWS, *(spec.view for spec in TABLES.values())}
    for name, spec in VIEWS.items():
        lines = [line.replace("\\|", "") for line in parts[name].splitlines() if line.startswith("| `")]
        assert [line.split("`")[1] for line in lines] == spec.column_names
        assert {line.count("|") for line in lines} == {7}


def test_comments_in_duckdb_carry_unit_and_meaning_of_null(small_lake):
    small_lake.build()
    with duckdb.connect(str(small_lake.catalog), read_only=True) as connection:
        shown = "NOT internal AND table_name <> 'manifest_files'"
        query = f"SELECT table_name, column_name, comment FROM duckdb_columns() WHERE {shown}"  # noqa: S608 (a test)
        comments = {(view, column): comment for view, column, comment in connection.execute(query).fetchall()}
    columns = {(view, column.name): column for view, spec in VIEWS.items() for column in spec.columns}
    assert set(UNIONS) < set(VIEWS)
    assert comments == {place: meaning(column) for place, column in columns.items()}
    for place, column in columns.items():
        assert f"[{column.unit}]" in comments[place] or not column.unit
        assert ("NULL" in comments[place]) >= column.nullable


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("a", "int64", "how many", "px"), "how many [px]"),
        (Column("a", "float64", "how much", nullable=True), "how much; NULL where it is undefined"),
        (Column("a", "string", "which", nullable=True), "which; NULL where there is none"),
        (Column("a", "float64", "how much", "um", True, null="at night"), "how much [um]; NULL at night"),
        (Column("a", "string", "which; NULL at night", nullable=True), "which; NULL at night"),
    ],
)
def test_a_column_says_what_null_means_once(column, expected):
    assert meaning(column) == expected


def test_markup_in_a_description_is_shown_as_it_is():
    assert escaped("a|b <i> *c* [d](e) `f` \\") == "a\\|b \\<i\\> \\*c\\* \\[d\\](e) \\`f\\` \\\\"
