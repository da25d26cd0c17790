"""Anyone may ask; nobody may write, or read anything but the views, and an answer never waits for a rebuild."""

import csv
import hashlib
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gr2st_assets.sql import Limits, QueryError, run_query
from gr2st_assets.sql_formats import FORMATS, write_answer
from gr2st_assets.tables import TABLES
from gr2st_core.errors import Gr2stError, MissingArtifactError, SettingsError

SLIDES = TABLES["raw/slides"]


@pytest.fixture(scope="module")
def shown(lake_in, rows_of, tmp_path_factory):
    """Give a lake with three slides, a file that no manifest names, and a file outside; no test changes it."""
    small_lake = lake_in(tmp_path_factory.mktemp("shown"))
    small_lake.add("raw/slides", rows_of(SLIDES, 3))
    hidden = small_lake.add("raw/slides", rows_of(SLIDES, 1))
    small_lake.manifest["raw/slides"].remove(str(hidden))
    (small_lake.root.parent / "secret.csv").write_text("password\nhunter2\n")
    small_lake.build()
    return small_lake


def rows(lake, sql: str, **options: object) -> list[dict]:
    return run_query(lake.catalog, sql, **options).table.to_pylist()


def contents(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


WRITES = """
COPY (SELECT 1) TO '{lake}/new.parquet'
COPY (SELECT 1) TO '{file}'
COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)
WITH x AS (COPY (SELECT 1) TO '{file}') SELECT * FROM x
WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x
SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x)
WITH x AS (INSERT INTO manifest_files VALUES ('a', 'b') RETURNING *) SELECT * FROM x
SELECT 1; COPY (SELECT 1) TO '{lake}/new.csv'
SELECT 1; SELECT 2
EXPORT DATABASE '{lake}/dump'
ATTACH '{lake}/new.duckdb'
ATTACH '{catalog}' AS again
DETACH lake
CREATE TABLE t (a INT)
CREATE TABLE memory.main.t (a INT)
CREATE TEMP TABLE t AS SELECT 1
CREATE VIEW v AS SELECT 1
CREATE OR REPLACE VIEW slides AS SELECT 1
CREATE MACRO m(a) AS a
CREATE SECRET s (TYPE s3)
INSERT INTO manifest_files VALUES ('a', 'b')
UPDATE manifest_files SET path = 'x'
DELETE FROM manifest_files
DROP VIEW slides
ALTER TABLE manifest_files RENAME TO x
TRUNCATE manifest_files
INSTALL httpfs
LOAD httpfs
LOAD '{lake}/x.duckdb_extension'
SET memory_limit = '1TB'
SET enable_external_access = true
SET lock_configuration = false
RESET memory_limit
SET VARIABLE x = 1
PRAGMA enable_profiling
PRAGMA database_list
CALL pragma_version()
USE memory
CHECKPOINT
FORCE CHECKPOINT
VACUUM
BEGIN
PREPARE p AS SELECT 1
EXECUTE p
EXPLAIN SELECT 1
EXPLAIN ANALYZE SELECT 1
IMPORT DATABASE '{lake}'
COMMENT ON VIEW slides IS 'x'
"""

READS = """
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM READ_TEXT('{catalog}')
SELECT * FROM "read_blob"('{catalog}')
SELECT * FROM system.main.read_text('{catalog}')
SELECT * FROM read_csv('{outside}')
SELECT * FROM '{outside}'
SELECT * FROM read_csv('file://{outside}')
SELECT * FROM read_csv('{lake}/../secret.csv')
SELECT * FROM read_json_auto('{outside}')
SELECT * FROM glob('{lake}/**')
SELECT * FROM glob('/etc/*')
SELECT * FROM read_parquet('{lake}/**/*.parquet')
SELECT * FROM read_parquet('{hidden}')
SELECT * FROM parquet_metadata('{hidden}')
SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')
SELECT * FROM read_parquet('s3://bucket/x.parquet')
SELECT * FROM query('SELECT 1')
SELECT * FROM query_table('slides')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
SELECT sleep_ms(1)
SELECT write_log('x')
SELECT (SELECT count(*) FROM read_text('/etc/passwd'))
SELECT 1 WHERE EXISTS (FROM glob('/*'))
WITH x AS MATERIALIZED (SELECT * FROM read_blob('/etc/passwd')) SELECT * FROM x
SELECT 1 UNION ALL SELECT size FROM read_text('/etc/passwd')
SELECT getenv('HOME')
SELECT * FROM python_variable
"""


def cases(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("template", cases(WRITES) + cases(READS))
def test_a_query_that_writes_or_reaches_out_is_refused(shown, template):
    python_variable = pa.table({"secret": [1]})  # DuckDB would find it by its name
    shown_file = shown.manifest["raw/slides"][0]
    folder = shown.root.parent
    hidden = next(str(p) for p in shown.root.rglob("*.parquet") if str(p) != shown_file)
    names = {"lake": shown.root, "file": shown_file, "hidden": hidden, "catalog": shown.catalog}
    before = contents(folder)
    with pytest.raises(QueryError):
        run_query(shown.catalog, template.format(**names, outside=folder / "secret.csv"))
    assert contents(folder) == before
    assert len(python_variable) == 1
    assert rows(shown, "SELECT count(*) AS n FROM slides") == [{"n": 3}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM slides",
        "FROM slides SELECT cohort",
        "TABLE slides",
        "VALUES (1), (2)",
        "SELECT 1 -- ; DROP VIEW slides",
        "SELECT 'COPY x TO y; DROP VIEW slides';",
        "WITH x AS (SELECT cohort FROM slides) SELECT * FROM x UNION SELECT 'a'",
        "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r WHERE a < 3) SELECT * FROM r",
        "SELECT cohort, rank() OVER (ORDER BY width_px) FROM slides QUALIFY rank() OVER (ORDER BY width_px) = 1",
        "SELECT a.cohort FROM slides a JOIN slides b USING (cohort) LEFT JOIN spots ON false",
        "DESCRIBE slides",
        "SHOW TABLES",
        "SUMMARIZE slides",
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'slides'",
    ],
)
def test_ordinary_queries_are_answered(shown, sql):
    assert len(run_query(shown.catalog, sql).table) > 0


def test_parameters_are_values_never_sql(shown):
    assert rows(shown, "SELECT cohort FROM slides WHERE section_id = $1", params=["section_id-1"]) == [
        {"cohort": "cohort-1"}
    ]
    assert rows(shown, "SELECT $name AS n", params={"name": "'; DROP VIEW slides"}) == [{"n": "'; DROP VIEW slides"}]
    with pytest.raises(QueryError):
        run_query(shown.catalog, "SELECT $1, $2", params=[1])


def test_a_long_answer_is_cut_and_says_so(shown):
    limits = Limits(rows=3)
    cut = run_query(shown.catalog, "SELECT a FROM range(100000) t(a) ORDER BY a DESC", limits=limits)
    assert (cut.table.to_pydict(), cut.is_cut) == ({"a": [99999, 99998, 99997]}, True)
    whole = run_query(shown.catalog, "FROM slides", limits=limits)
    assert (len(whole.table), whole.is_cut) == (3, False)
    assert not run_query(shown.catalog, "FROM slides WHERE false").is_cut


def test_rows_keep_their_order_over_many_batches(shown):
    answer = run_query(shown.catalog, "SELECT a FROM range(9000) t(a) ORDER BY a DESC")
    assert answer.table.column("a").to_pylist() == list(range(8999, -1, -1))


@pytest.mark.parametrize(
    ("sql", "limits", "fault"),
    [
        (
            "SELECT count(*) FROM range(3000000) a, range(3000000) b WHERE a.range % 7 = b.range % 11",
            {"seconds": 0.3},
            "time",
        ),
        ("SELECT list(range) FROM range(50000000)", {"memory_mb": 64}, "memory"),
        ("SELECT " + "1," * 400 + "1", {"sql_bytes": 500}, "too long"),
        ("SELECT " + "(" * 20000 + "1" + ")" * 20000, {}, ""),
        ("SELECT " + "-" * 1 + " -".join("1" for _ in range(9000)), {}, ""),
        ("SELEC 1", {}, "syntax error"),
        ("SELECT nothing FROM slides", {}, "nothing"),
        ("SELECT error('boom') FROM slides", {}, "boom"),
        ("", {}, "exactly one SELECT"),
    ],
    ids=["slow", "large", "long", "nested", "deep", "garbled", "unknown", "failing", "empty"],
)
def test_a_query_beyond_its_limits_ends_with_a_reason(shown, sql, limits, fault):
    started = time.monotonic()
    with pytest.raises(QueryError) as caught:
        run_query(shown.catalog, sql, limits=Limits(**limits))
    assert fault in str(caught.value)
    assert time.monotonic() - started < 10


def test_the_refusal_names_what_was_refused(shown):
    with pytest.raises(QueryError) as caught:
        run_query(shown.catalog, "WITH x AS (COPY (SELECT 1) TO 'y') SELECT * FROM x, read_text('z')")
    assert caught.value.context["found"] == ["COPY_QUERY_NODE", "read_text"]
    with pytest.raises(QueryError) as caught:
        run_query(shown.catalog, "SELECT 1; DROP VIEW slides")
    assert caught.value.context["found"] == ["SELECT", "DROP"]


def test_without_a_catalogue_the_hint_says_how_to_get_one(tmp_path):
    with pytest.raises(MissingArtifactError) as caught:
        run_query(tmp_path / "none.duckdb", "SELECT 1")
    assert caught.value.context["file"] == tmp_path / "none.duckdb"
    assert "catalog" in caught.value.context["hint"]


def test_a_damaged_catalogue_is_an_error_of_ours(tmp_path):
    (tmp_path / "c.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(Gr2stError):
        run_query(tmp_path / "c.duckdb", "SELECT 1")


READER = """
import sys, time
from gr2st_assets.sql import run_query
started, seen = time.monotonic(), set()
while (age := time.monotonic() - started) < 2 or (len(seen) < 2 and age < 60):
    answer = run_query(sys.argv[1], "SELECT count(*) AS n, count(DISTINCT cohort) AS k, min(cohort) AS c FROM slides")
    [row] = answer.table.to_pylist()
    assert (row["n"], row["k"]) == (3, 1), row
    seen.add(row["c"])
print(len(seen))
"""


def test_readers_never_notice_that_the_catalogue_is_rebuilt(small_lake, rows_of):
    generations = [str(small_lake.add("raw/slides", rows_of(SLIDES, 3, cohort=f"c{i}"))) for i in range(4)]
    small_lake.manifest["raw/slides"] = generations[:1]
    small_lake.build()
    faults, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                [row] = rows(small_lake, "SELECT count(*) AS n, count(DISTINCT cohort) AS k FROM slides")
                if row != {"n": 3, "k": 1}:
                    faults.append(row)
            except Gr2stError as error:
                faults.append(error)

    thread = threading.Thread(target=read)
    command = [sys.executable, "-c", READER, str(small_lake.catalog)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        thread.start()
        n_builds = 0
        while other.poll() is None:
            small_lake.manifest["raw/slides"] = [generations[n_builds % 4]]
            small_lake.build()
            n_builds += 1
        stop.set()
        thread.join()
        seen = int(other.stdout.read())
    assert (faults, other.returncode) == ([], 0)
    assert n_builds > 4
    assert seen > 1


@pytest.fixture
def answer(shown) -> pa.Table:
    """Give one row of each kind of value and one of NULLs."""
    sql = """
    SELECT * FROM (VALUES ('a,"b', 1.5::DOUBLE, 2::HUGEINT, true, [1, 2], 'x'::BLOB, DATE '2020-01-02', 'nan'::DOUBLE),
                          (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) t(s, d, h, b, l, bin, day, bad)
    """
    return run_query(shown.catalog, sql).table


def written(table: pa.Table, form: str) -> bytes:
    stream = io.BytesIO()
    write_answer(table, form, stream)
    return stream.getvalue()


def test_json_keeps_types_and_null(answer):
    first, second = json.loads(written(answer, "json"))
    assert first == {
        "s": 'a,"b', "d": 1.5, "h": 2, "b": True, "l": [1, 2], "bin": "eA==", "day": "2020-01-02", "bad": None,
    }  # fmt: skip
    assert set(second.values()) == {None}


def test_csv_quotes_and_leaves_null_empty(answer):
    header, first, second = csv.reader(io.StringIO(written(answer, "csv").decode()))
    assert header == answer.column_names
    assert first == ['a,"b', "1.5", "2", "True", "[1, 2]", "eA==", "2020-01-02", ""]
    assert second == [""] * 8


def test_csv_cells_are_never_formulas():
    table = pa.table({"gene": ["=1+1", "@x", "HLA-A"], "x": [-1.5, 2.0, None]})
    assert written(table, "csv").decode() == "gene,x\n'=1+1,-1.5\n'@x,2.0\nHLA-A,\n"


def test_parquet_returns_the_rows_themselves(answer):
    stored = pq.read_table(io.BytesIO(written(answer, "parquet")))
    assert stored.drop_columns("bad").to_pylist() == answer.drop_columns("bad").to_pylist()  # NaN equals nothing
    assert stored.schema.names == answer.schema.names


def test_a_table_is_aligned_with_numbers_to_the_right():
    table = pa.table({"gene": ["ERBB2", None, "A\x1b[2J"], "pearson": [0.123456789, None, -1.0], "n": [5, 12345, None]})
    assert written(table, "table").decode().splitlines() == [
        "gene       pearson      n",
        "--------  --------  -----",
        "ERBB2     0.123457      5",
        "NULL          NULL  12345",
        "A\\x1b[2J        -1   NULL",
    ]


def test_no_rows_are_written_in_every_format():
    empty = pa.table({"a": pa.array([], pa.int64())})
    assert [written(empty, form) for form in ("table", "csv", "json")] == [b"a\n-\n", b"a\n", b"[]\n"]
    assert len(pq.read_table(io.BytesIO(written(empty, "parquet")))) == 0


def test_an_unknown_format_is_refused_with_those_there_are(answer):
    with pytest.raises(SettingsError) as caught:
        written(answer, "xlsx")
    assert caught.value.context == {"found": "xlsx", "expected": sorted(FORMATS)}


def test_markdown_keeps_its_columns_whatever_the_cells_hold():
    table = pa.table({"name": ["a|b", None], "n": [1, 2]})
    assert written(table, "markdown").decode().splitlines() == [
        "| name | n |", "| --- | ---: |", "| a\\|b | 1 |", "| NULL | 2 |",
    ]  # fmt: skip


def test_no_progress_bar_is_drawn_on_standard_output(shown):
    """DuckDB draws one after two seconds where it sees no script file, as in a notebook."""
    path, query = str(shown.catalog), "select current_setting('enable_progress_bar') as bar"
    code = f"from gr2st_assets.sql import run_query; print(run_query({path!r}, {query!r}).table.to_pylist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[{'bar': False}]"
