"""Other readers open the catalogue file as it lies there, while it is made again beside them."""

import threading
from collections.abc import Iterator

import duckdb
import pytest

from gr2st_assets.tables import TABLES

QUERY = "SELECT cohort, count(*) AS n FROM slides GROUP BY cohort"


@pytest.fixture
def rebuilt(small_lake, rows_of) -> Iterator[str]:
    """Give the path of a catalogue whose one cohort is another at every rebuild, which go on until the test is over."""
    spec = TABLES["raw/slides"]
    files = [str(small_lake.add(spec.name, rows_of(spec, 3, cohort=f"c{i}"))) for i in range(2)]
    stop, turns, faults = threading.Event(), [], []

    def rebuild() -> None:
        while not stop.is_set() or len(turns) < 2:
            small_lake.manifest[spec.name] = [files[len(turns) % 2]]
            try:
                small_lake.build()
            except BaseException as error:
                faults.append(error)
                raise
            turns.append(len(turns))

    small_lake.manifest[spec.name] = files[:1]
    small_lake.build()
    builder = threading.Thread(target=rebuild)
    builder.start()
    yield str(small_lake.catalog)
    stop.set()
    builder.join()
    assert not faults


def with_duckdb(catalog: str) -> list[tuple]:
    with duckdb.connect(catalog, read_only=True) as connection:
        return connection.execute(QUERY).fetchall()


def with_pandas(catalog: str) -> list[tuple]:
    with duckdb.connect(catalog, read_only=True) as connection:
        return list(connection.sql(QUERY).df().itertuples(index=False, name=None))


def with_polars(catalog: str) -> list[tuple]:
    import polars as pl

    with duckdb.connect(catalog, read_only=True) as connection:
        return pl.read_database(QUERY, connection).rows()


def with_ibis(catalog: str) -> list[tuple]:
    import ibis

    connection = ibis.duckdb.connect(catalog, read_only=True)
    try:
        slides = connection.table("slides")
        counted = slides.group_by("cohort").aggregate(n=slides.count()).to_pyarrow()
        return list(zip(*(column.to_pylist() for column in counted.columns), strict=True))
    finally:
        connection.disconnect()


@pytest.mark.parametrize("read", [with_duckdb, with_pandas, with_polars, with_ibis])
def test_a_reader_gets_one_generation_whole(rebuilt, read):
    for _ in range(5):
        [(cohort, n)] = read(rebuilt)
        assert cohort in ("c0", "c1")
        assert n == 3


def test_a_tool_that_stays_connected_keeps_the_generation_it_opened(rebuilt):
    with duckdb.connect(rebuilt, read_only=True) as connection:
        (first, *_) = answers = [connection.execute(QUERY).fetchall() for _ in range(20)]
        assert answers == [first] * 20


def test_a_tool_finds_tables_columns_and_comments_where_drivers_look_for_them(small_lake):
    with duckdb.connect(str(small_lake.build()), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'slides'"
        ).fetchall()
    assert {("slides",), ("predictions_with_observed",)} <= set(tables)
    assert ("width_px", "BIGINT") in columns
