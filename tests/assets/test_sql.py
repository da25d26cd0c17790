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
from samples.sql_statements import READS, WRITES

SLIDES = TABLES["raw/slides"]


def rows(lake, sql: str, **options: object) -> list[dict]:
    return run_query(lake.catalog, sql, **options).table.to_pylist()


def contents(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("template", WRITES + READS)
def test_a_query_that_writes_or_reaches_out_is_refused(shown, template):
    python_variable = pa.table({"secret": [1]})  # DuckDB would find it by its name
    before = contents(shown.root.parent)
    with pytest.raises(QueryError) as caught:
        run_query(shown.catalog, template.format(**shown.names))
    assert caught.value.context["hint"]
    assert "\n" not in str(caught.value)
    assert contents(shown.root.parent) == before
    assert len(python_variable) == 1


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
            "takes too long",
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
started, seen = time.monotonic(), []
while (age := time.monotonic() - started) < 2 or (len(seen) < 6 and age < 60):
    answer = run_query(sys.argv[1], "SELECT count(*) AS n, count(DISTINCT cohort) AS k, min(cohort) AS c FROM slides")
    [row] = answer.table.to_pylist()
    assert (row["n"], row["k"]) == (3, 1), row
    seen += [row["c"]] if seen[-1:] != [row["c"]] else []
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
