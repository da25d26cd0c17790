"""The catalogue shows what the manifest names: every table, typed and described, empty or not."""

import errno
import io

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from gr2st_assets.catalog import JOINED, UNIONS, build_catalog
from gr2st_assets.lake import Lake
from gr2st_assets.publish import TEMPORARY
from gr2st_assets.readers import publish_catalog
from gr2st_assets.records import Provenance
from gr2st_assets.sql import run_query
from gr2st_assets.tables import TABLES, arrow_schema, conform, table_spec
from gr2st_core.errors import MissingArtifactError, SchemaError
from samples.crashes import each_failure, is_killed

OURS, RIDGE = "predictions/predictions_gr2st_ours", "predictions/predictions_ridge_m224"
TABLE_VIEWS = {name: spec for name, spec in TABLES.items() if "<" not in name}


def ask(lake, sql: str, *params: object) -> list[tuple]:
    answer = run_query(lake.catalog, sql, params=params).table
    return list(zip(*(column.to_pylist() for column in answer.columns), strict=True))


def test_without_files_every_view_is_empty_and_has_its_columns(small_lake):
    small_lake.build()
    unions = {view: TABLES[family] for view, family in UNIONS.items()}
    for view, spec in {**{spec.view: spec for spec in TABLE_VIEWS.values()}, **unions}.items():
        answer = run_query(small_lake.catalog, f"FROM {view}").table
        assert len(answer) == 0
        # the stored types, less the names of list elements and nullability, which SQL does not carry
        assert [(f.name, str(f.type)) for f in answer.schema] == [
            (f.name, str(f.type).replace("element: ", "l: ")) for f in arrow_schema(spec)
        ]
    assert ask(small_lake, "SELECT count(*) FROM predictions_with_observed") == [(0,)]


def test_a_view_reads_exactly_the_files_of_the_manifest(small_lake, rows_of):
    spec = TABLES["raw/slides"]
    small_lake.add("raw/slides", rows_of(spec, 2, cohort="a"))
    small_lake.add("raw/slides", rows_of(spec, 3, cohort="b"))
    unnamed = small_lake.add("raw/slides", rows_of(spec, 5, cohort="c"))
    small_lake.manifest["raw/slides"].remove(str(unnamed))
    small_lake.build()
    assert ask(small_lake, "SELECT cohort, count(*) FROM slides GROUP BY 1 ORDER BY 1") == [("a", 2), ("b", 3)]
    listed = ask(small_lake, "SELECT table_name, path FROM manifest_files ORDER BY path")
    assert listed == [("raw/slides", path) for path in small_lake.manifest["raw/slides"]]


def test_columns_of_the_path_are_never_mistaken_for_columns_of_the_table(small_lake, rows_of):
    spec = TABLES["raw/slides"]
    path = small_lake.root / "raw/slides/cohort=wrong/section=S/0123/data.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(conform(spec, rows_of(spec, 1, cohort="right")), path)
    small_lake.manifest["raw/slides"] = [str(path)]
    small_lake.build()
    assert ask(small_lake, "SELECT cohort FROM slides") == [("right",)]
    assert run_query(small_lake.catalog, "FROM slides").table.column_names == spec.column_names


def test_all_methods_stand_in_one_view_beside_what_was_measured(small_lake, rows_of):
    key = {"fold_id": "a/all", "panel": "p", "target": "per_spot", "cohort": "a", "section_id": "S", "gene": "G"}
    for name, method in ((OURS, "gr2st"), (RIDGE, "ridge")):
        small_lake.add(name, rows_of(table_spec(name), 3, **key, method=method, seed=0))
    # in another order, and one spot was never measured: rows meet by id
    small_lake.add("predictions/observed", rows_of(TABLES["predictions/observed"], 2, **key).iloc[::-1])
    small_lake.build()
    assert ask(small_lake, "SELECT method, count(*) FROM predictions GROUP BY 1 ORDER BY 1") == [
        ("gr2st", 3),
        ("ridge", 3),
    ]
    assert ask(
        small_lake, "SELECT spot_id, observed FROM predictions_with_observed WHERE method = 'ridge' ORDER BY 1"
    ) == [
        ("spot_id-0", 0.0),
        ("spot_id-1", 1.0),
        ("spot_id-2", None),
    ]
    assert ask(small_lake, "SELECT count(*) FROM predictions_ridge_m224") == [(3,)]


def test_training_history_holds_every_model(small_lake, rows_of):
    for model in ("gr2st_ours", "ridge_m224"):
        name = f"models/model_{model}"
        small_lake.add(name, rows_of(table_spec(name), 2, model_id=model))
    small_lake.build()
    assert ask(small_lake, "SELECT DISTINCT model_id FROM training_history ORDER BY 1") == [
        ("gr2st_ours",),
        ("ridge_m224",),
    ]


def test_undefined_scores_are_null_and_never_rank_above_numbers(small_lake, rows_of):
    spec = TABLES["evaluation/gene_scores"]
    small_lake.add(spec.name, rows_of(spec, 3, pearson=[0.2, np.nan, 0.4]))
    small_lake.build()
    high = "count(*) FILTER (pearson > 0.3)"
    query = f"SELECT count(*), count(pearson), max(pearson), median(pearson), {high} FROM gene_scores"  # noqa: S608 (a test)
    assert ask(small_lake, query) == [(3, 2, 0.4, pytest.approx(0.3), 1)]


def test_views_and_columns_say_what_they_are_with_units(small_lake):
    small_lake.build()
    about = "SELECT comment FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = $1 AND column_name = $2"
    assert ask(small_lake, about, "slides", "width_px") == [("image width [px]; NULL without an image",)]
    assert ask(small_lake, about, JOINED, "observed") == [
        ("measured expression [target units]; NULL where nothing was measured",)
    ]
    undescribed = (
        "SELECT count(*) FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal AND comment IS NULL"
    )
    assert ask(small_lake, undescribed) == [(0,)]


def test_files_of_an_older_version_may_lack_a_column(small_lake, rows_of):
    spec = TABLES["evaluation/gene_scores"]
    small_lake.add(spec.name, rows_of(spec, 1, gene="new"))
    old = small_lake.add(spec.name, rows_of(spec, 1, gene="old"))
    pq.write_table(pq.read_table(old).drop_columns("spearman"), old)
    small_lake.build()
    query = "SELECT gene, spearman IS NULL FROM gene_scores ORDER BY gene"
    assert ask(small_lake, query) == [("new", False), ("old", True)]
    small_lake.manifest[spec.name] = [str(old)]
    small_lake.build()
    assert ask(small_lake, query) == [("old", True)]


def test_building_again_replaces_the_file_and_leaves_nothing_behind(small_lake, rows_of):
    small_lake.build()
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2))
    small_lake.build()
    assert ask(small_lake, "SELECT count(*) FROM slides") == [(2,)]
    assert sorted(path.name for path in small_lake.catalog.parent.iterdir()) == ["catalog.duckdb", "lake"]


def test_a_file_that_cannot_be_read_leaves_the_old_catalogue(small_lake, rows_of):
    path = small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2))
    small_lake.build()
    good = path.read_bytes()
    for damage in (lambda: path.write_bytes(good[:50]), path.unlink):
        damage()
        with pytest.raises(MissingArtifactError) as caught:
            small_lake.build()
        assert caught.value.context["table"] == "raw/slides"
        assert str(path) in caught.value.message
    path.write_bytes(good)
    assert ask(small_lake, "SELECT count(*) FROM slides") == [(2,)]


@pytest.mark.parametrize("file", ["/etc/data.parquet", "{root}_evil/data.parquet", "{root}/../data.parquet", "{root}"])
def test_a_file_outside_the_lake_is_refused(small_lake, file):
    small_lake.manifest["raw/slides"] = [file.format(root=small_lake.root)]
    with pytest.raises(SchemaError) as caught:
        small_lake.build()
    assert caught.value.context["file"] == small_lake.manifest["raw/slides"][0]


def add_unknown(lake, name, table):
    path = lake.root / name / "data.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    lake.manifest[name] = [str(path)]
    return path


def test_a_table_that_a_user_added_is_shown_as_its_file_is(small_lake):
    path = add_unknown(small_lake, "extra/numbers", pa.table({"b": [1], "a": ["x"]}))
    small_lake.manifest["extra/no_files"] = []
    assert build_catalog(small_lake.root, small_lake.manifest, small_lake.catalog) == []
    assert run_query(small_lake.catalog, "FROM numbers").table.to_pylist() == [{"b": 1, "a": "x"}]
    assert ask(small_lake, "SELECT table_name, path FROM manifest_files") == [("extra/numbers", str(path))]


@pytest.mark.parametrize("view", ["slides", "predictions", JOINED, "manifest_files"])
def test_a_table_that_a_user_added_never_takes_the_name_of_another_view(small_lake, rows_of, view):
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2))
    add_unknown(small_lake, f"extra/{view}", pa.table({"mine": [1]}))
    add_unknown(small_lake, "extra/later", pa.table({"mine": [1]}))
    (left_out,) = build_catalog(small_lake.root, small_lake.manifest, small_lake.catalog)
    assert left_out.startswith(f"extra/{view} ")
    assert "already exists" in left_out
    assert "mine" not in run_query(small_lake.catalog, f"FROM {view}").table.column_names
    assert ask(small_lake, "SELECT count(*) FROM slides") == [(2,)]
    assert ask(small_lake, "SELECT mine FROM later") == [(1,)]


def test_of_two_added_tables_of_one_name_the_first_is_shown(small_lake):
    for group in ("extra", "other"):
        add_unknown(small_lake, f"{group}/numbers", pa.table({"group": [group]}))
    (left_out,) = build_catalog(small_lake.root, small_lake.manifest, small_lake.catalog)
    assert left_out.startswith("other/numbers ")
    assert ask(small_lake, 'SELECT "group" FROM numbers') == [("extra",)]


def test_a_damaged_table_that_a_user_added_costs_no_other(small_lake, rows_of):
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2))
    add_unknown(small_lake, "extra/numbers", pa.table({"mine": [1]})).write_bytes(b"short")
    (left_out,) = build_catalog(small_lake.root, small_lake.manifest, small_lake.catalog)
    assert left_out.startswith("extra/numbers ")
    assert ask(small_lake, "SELECT count(*) FROM slides") == [(2,)]


def test_publishing_lists_what_is_left_out_as_waiting(tmp_path):
    lake, facts = Lake(tmp_path), Provenance("f", {}, "", "", "", "run", 0.0)
    for name in ("extra/numbers", "extra/slides"):
        lake.write_table(lake.slot(name), pa.table({"mine": [1]}), facts)
    published = publish_catalog(lake)
    assert [line.split()[0] for line in published.waiting] == ["extra/slides"]
    assert run_query(published.path, "FROM numbers").table.to_pylist() == [{"mine": 1}]


def test_odd_characters_in_the_root_stay_text(tmp_path, rows_of):
    spec, root = TABLES["raw/slides"], tmp_path / 'it\'s a "lake" [1]*?'
    path = root / "raw" / "data.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(conform(spec, rows_of(spec, 2)), path)
    build_catalog(root, {"raw/slides": [str(path)]}, tmp_path / "c'.duckdb")
    assert run_query(tmp_path / "c'.duckdb", "SELECT count(*) AS n FROM slides").table.to_pylist() == [{"n": 2}]


def test_a_lake_that_is_not_on_the_disk_is_read_through_its_filesystem(tmp_path, rows_of):
    root = UPath("memory://catalog-test-lake")
    buffer = io.BytesIO()
    pq.write_table(conform(TABLES["raw/slides"], rows_of(TABLES["raw/slides"], 2)), buffer)
    for name in ("shown", "hidden"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "data.parquet").write_bytes(buffer.getvalue())
    catalog = tmp_path / "catalog.duckdb"
    build_catalog(root, {"raw/slides": [str(root / "shown" / "data.parquet")]}, catalog)
    assert run_query(catalog, "SELECT count(*) AS n FROM slides").table.to_pylist() == [{"n": 2}]
    with pytest.raises(Exception, match="Cannot access file"):
        run_query(catalog, "FROM read_parquet('memory:///catalog-test-lake/hidden/data.parquet')")


def test_any_duckdb_reader_may_open_the_catalogue(small_lake, rows_of):
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2))
    with duckdb.connect(str(small_lake.build()), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM slides").fetchall() == [(2,)]


def test_a_thousand_files_are_catalogued(small_lake, rows_of):
    spec = TABLES["expression/panel"]
    first = small_lake.add(spec.name, rows_of(spec, 2))
    for i in range(1000):
        link = small_lake.root / spec.name / f"more-{i}.parquet"
        link.hardlink_to(first)
        small_lake.manifest[spec.name].append(str(link))
    small_lake.build()
    assert ask(small_lake, "SELECT count(*) FROM panel") == [(2002,)]


def test_arrow_reads_what_the_view_reads(small_lake, rows_of):
    spec = TABLES["raw/spots"]
    path = small_lake.add(spec.name, rows_of(spec, 5, is_on_tissue=pd.array([True, None, False, True, None])))
    small_lake.build()
    answer = run_query(small_lake.catalog, "FROM spots ORDER BY cohort, section_id, spot_id").table
    assert (
        answer.cast(pa.schema([f.with_nullable(True) for f in answer.schema])).to_pylist()
        == pq.read_table(path).to_pylist()
    )


@pytest.fixture
def grown(small_lake, rows_of, tmp_path):
    """A lake with one more file than its catalogue shows, and what a catalogue built undisturbed holds."""
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 2, cohort="old"))
    small_lake.build()
    before = _holds(small_lake.catalog)
    small_lake.add("raw/slides", rows_of(TABLES["raw/slides"], 3, cohort="new"))
    build_catalog(str(small_lake.root), small_lake.manifest, tmp_path / "undisturbed.duckdb")
    return small_lake, before, _holds(tmp_path / "undisturbed.duckdb")


def _holds(catalog):
    """Every view and every row; two files of the same differ in bytes, since DuckDB numbers them."""
    with duckdb.connect(str(catalog), read_only=True) as connection:
        views = connection.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
        return views, connection.execute("FROM manifest_files ORDER BY ALL").fetchall()


POINTS = ("catalog.built", "pointer.staged", "pointer.replaced", "pointer.visible")


@pytest.mark.parametrize("point", POINTS)
def test_a_catalogue_killed_anywhere_is_the_old_or_the_new_and_the_next_completes(grown, point):
    lake, before, after = grown
    assert before != after
    assert is_killed(point, lake.build)
    assert _holds(lake.catalog) == (before if point in POINTS[:2] else after)
    lake.build()
    assert _holds(lake.catalog) == after


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_catalogue_on_a_failing_disk_is_the_old_or_the_new(grown, call):
    lake, before, after = grown
    for failed in each_failure(call, errno.ENOSPC, lake.build):
        assert str(failed.filename).endswith("catalog.duckdb")
        assert _holds(lake.catalog) in (before, after)
        assert [path.name for path in lake.catalog.parent.glob(f"{TEMPORARY}*")] == []
    assert _holds(lake.catalog) == after
