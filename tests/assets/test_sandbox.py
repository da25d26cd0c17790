"""``gr2st sql`` as shipped: a process a query, which is refused, ended in time, and cannot write whatever it asks."""

import hashlib
import inspect
import json
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest
from upath import UPath

from gr2st_assets import cli, sandbox
from gr2st_assets.asking import named
from gr2st_assets.catalog import build_catalog
from gr2st_assets.sandbox import GRACE_S, SHIPPED, ask
from gr2st_assets.sql import Limits, QueryError, run_query
from gr2st_core.errors import MissingArtifactError, SettingsError
from samples.sql_statements import BOMBS, READS, WRITES

PATIENT = Limits(seconds=60, memory_mb=1024, threads=1)  # of a machine that runs other tests, too
COMMAND = [sys.executable, "-W", "ignore", "-m", "gr2st_assets"]


def contents(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def told(code: str, **task: object) -> dict:
    """Run code that reads a task from standard input and prints what it found, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(task, default=str), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


STATEMENTS = """
import json, sys
from pathlib import Path
task, faults = json.load(sys.stdin), {}
from gr2st_assets.confinement import forbid_changes, limit_resources
forbid_changes(network=False)
from gr2st_assets.sandbox import SHIPPED
from gr2st_assets.sandbox_child import reply
from gr2st_assets.sql import open_locked
limit_resources(SHIPPED.memory_mb, 120)
for sql in task["statements"]:
    with open_locked(Path(task["catalog"]), SHIPPED) as connection:
        header, rows = reply(connection, {"sql": sql, "params": {}}, SHIPPED)
    faults[sql] = header.get("error", {}).get("kind")
print(json.dumps(faults))
"""


def test_everything_that_must_be_refused_is_refused_in_the_process_of_a_query(shown):
    statements = [template.format(**shown.names) for template in WRITES + READS]
    before = contents(shown.root.parent)
    faults = told(STATEMENTS, catalog=shown.catalog, statements=statements)
    assert len(faults) >= 60
    assert {sql for sql, fault in faults.items() if fault != "QueryError"} == set()
    assert contents(shown.root.parent) == before


@pytest.mark.parametrize(
    "template",
    [
        "COPY (SELECT 1) TO '{lake}/new.parquet'",
        "WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_parquet('{hidden}')",
        "SELEC\n\n'\x1b[2J'",
    ],
)
def test_the_command_refuses_in_two_lines(shown, template, monkeypatch):
    monkeypatch.setenv("GR2ST_LAKE", str(shown.root))
    before = contents(shown.root.parent)
    done = subprocess.run(
        [*COMMAND, "sql", template.format(**shown.names)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    refused, hint = done.stderr.splitlines()
    assert refused.startswith("error: ")
    assert hint.startswith("hint: ")
    assert done.stderr.replace("\n", "").isprintable()
    assert contents(shown.root.parent) == before


def test_the_command_answers_with_parameters_that_are_values_never_sql(shown, monkeypatch):
    monkeypatch.setenv("GR2ST_LAKE", str(shown.root))
    query = "SELECT cohort, $text AS text FROM slides WHERE section_id = $section AND width_px >= $width"
    given = ["--param", "text='; DROP VIEW slides=", "--param", "section=section_id-1", "--param", "width=1"]
    done = subprocess.run([*COMMAND, "sql", query, *given, "--format", "json"], capture_output=True, check=True)
    assert json.loads(done.stdout) == [{"cohort": "cohort-1", "text": "'; DROP VIEW slides="}]


def test_limits_of_the_command_are_those_that_hold():
    shown = inspect.signature(cli.sql).parameters
    assert [shown[name].default for name in ("limit", "seconds", "memory")] == [
        SHIPPED.rows,
        SHIPPED.seconds,
        SHIPPED.memory_mb,
    ]
    assert SHIPPED.seconds + GRACE_S <= 4
    assert (SHIPPED.memory_mb, SHIPPED.rows, SHIPPED.sql_bytes) == (1024, 10_000, 65_536)


@pytest.mark.parametrize("params", [["a"], ["=1"], ["a b=1"], ["1a=1"], ["a=1", "a=2"]])
def test_a_parameter_without_a_name_of_its_own_is_refused(params):
    with pytest.raises(SettingsError) as caught:
        named(params)
    assert caught.value.context["field"] == "--param"


def test_an_answer_is_that_of_the_process_itself(shown):
    query = "SELECT *, [1, NULL] AS l, NULL AS nothing, 1.5::DECIMAL(9, 2) AS d FROM slides WHERE cohort <> $c"
    answer = ask(shown.catalog, query, params={"c": "cohort-0"}, limits=PATIENT)
    assert answer.table.equals(run_query(shown.catalog, query, params={"c": "cohort-0"}).table)
    assert not answer.is_cut
    cut = ask(shown.catalog, "FROM slides", limits=Limits(rows=1, memory_mb=1024))
    assert (len(cut.table), cut.is_cut) == (1, True)


def test_without_a_catalogue_the_process_says_so_as_the_platform_does(tmp_path):
    with pytest.raises(MissingArtifactError) as caught:
        ask(tmp_path / "none.duckdb", "SELECT 1")
    assert caught.value.context["file"] == str(tmp_path / "none.duckdb")


BOMBED = """
import json, resource, sys, threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from gr2st_assets.sandbox import SHIPPED, ask
from gr2st_assets.sql import QueryError
task, stop, beside = json.load(sys.stdin), threading.Event(), []

def ended(sql):
    try:
        return f"answered {ask(task['catalog'], sql, limits=replace(SHIPPED, seconds=0.4)).table.num_rows}"
    except QueryError as error:
        return error.message

def repeat():
    while not (beside and stop.wait(1)):
        beside.extend(row["n"] for row in ask(task["catalog"], "SELECT count(*) AS n FROM slides").table.to_pylist())

with ThreadPoolExecutor(2) as pool:
    ordinary = threading.Thread(target=repeat)
    ordinary.start()
    endings = dict(zip(task["bombs"], pool.map(ended, task["bombs"].values())))
    stop.set()
    ordinary.join()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"endings": endings, "beside": beside, "peak_kib": peak}))
"""


def test_what_takes_everything_is_stopped_while_an_ordinary_query_is_answered(shown):
    found = told(BOMBED, catalog=shown.catalog, bombs=BOMBS)
    assert len(found["endings"]) >= 10
    assert {name: ending for name, ending in found["endings"].items() if ending.startswith("answered")} == {}
    assert found["endings"]["levenshtein"] == QueryError.of_time(SHIPPED).message
    assert found["beside"] == [3] * len(found["beside"]) != []
    assert found["peak_kib"] < 1024**2


UNGUARDED = """
import json, os, resource, socket, subprocess, sys
from pathlib import Path
task, done = json.load(sys.stdin), []
from gr2st_assets.confinement import forbid_changes
listening = socket.create_server(("127.0.0.1", 0))
is_confined = forbid_changes(network=False)
import duckdb
connection = duckdb.connect(":memory:")
lake, file = task["lake"], task["file"]

def attempt(name, act):
    try:
        act()
        done.append(name)
    except (OSError, duckdb.Error):
        pass

for sql in (f"COPY (SELECT 1) TO '{lake}/new.csv'", f"COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)",
            f"WITH x AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM x",
            f"EXPORT DATABASE '{lake}/dump'", f"ATTACH '{lake}/new.duckdb'"):
    attempt(sql, lambda: connection.execute(sql).fetchall())
attempt("open", lambda: open(file, "r+b"))
attempt("truncate", lambda: os.truncate(file, 0))
attempt("remove", lambda: os.remove(file))
attempt("rename", lambda: os.rename(file, file + "x"))
attempt("folder", lambda: os.mkdir(lake + "/new"))
attempt("link", lambda: os.symlink("/", lake + "/root"))
attempt("program", lambda: subprocess.run([sys.executable, "-c", "1"]))
rows = connection.execute(f"SELECT count(*) FROM '{file}'").fetchall()
print(json.dumps({"is_confined": is_confined, "done": done, "rows": rows}))
"""


def test_without_settings_and_gate_the_system_alone_forbids_to_change_anything(shown):
    before = contents(shown.root.parent)
    found = told(UNGUARDED, **shown.names)
    if not found["is_confined"]:
        pytest.skip("this system has no Landlock")
    assert found["done"] == []
    assert found["rows"] == [[3]]
    assert contents(shown.root.parent) == before


LIMITED = """
import errno, json, resource, sys
from gr2st_assets.confinement import limit_resources
limit_resources(1024, 5)
task, faults = json.load(sys.stdin), []
try:
    with open(task["file"], "wb", buffering=0) as stream:
        stream.write(b"x")
except OSError as error:
    faults.append(errno.errorcode[error.errno])
try:
    bytes(1 << 30)
except MemoryError:
    faults.append("memory")
print(json.dumps({"faults": faults, "cpu": resource.getrlimit(resource.RLIMIT_CPU)}))
"""


def test_limits_alone_allow_no_byte_in_a_file_and_no_more_memory(tmp_path):
    found = told(LIMITED, file=tmp_path / "new")
    assert found["faults"] == ["EFBIG", "memory"]
    assert found["cpu"][0] in (6, 7)
    assert (tmp_path / "new").read_bytes() == b""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Let a shell script take the place of the process."""

    def replace(script: str) -> Path:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sandbox.sys, "executable", str(program))
        return tmp_path

    return replace


def test_the_process_is_told_no_secret_and_its_death_is_an_error_of_ours(stand_in, monkeypatch):
    folder = stand_in('env > "$(dirname "$0")/seen"; kill -SEGV $$')
    monkeypatch.setenv("GR2ST_ALERT_WEBHOOK", "canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with pytest.raises(QueryError) as caught:
        ask("c.duckdb", "SELECT 1")
    assert caught.value.context["found"] == "SIGSEGV"
    assert "canary" not in (folder / "seen").read_text()
    with pytest.raises(QueryError):
        ask("c.duckdb", "SELECT 1", is_remote=True)
    seen = (folder / "seen").read_text()
    assert "AWS_SECRET_ACCESS_KEY=canary" in seen
    assert "GR2ST_ALERT_WEBHOOK" not in seen


def test_a_process_that_does_nothing_is_ended_by_the_clock(stand_in, monkeypatch):
    stand_in("echo '{\"is_confined\": true}'; exec sleep 600")
    monkeypatch.setattr(sandbox, "GRACE_S", 0.1)
    with pytest.raises(QueryError) as caught:
        ask("c.duckdb", "SELECT 1", limits=Limits(seconds=0.1))
    assert caught.value.context["expected"] == "<= 0.1 s"


@pytest.mark.parametrize(
    "script",
    ["exit 3", "echo '{\"is_confined\": true}'; exit 3", "echo '{\"is_confined\": true}'; cat > /dev/null; exit 3",
     "echo '{\"is_confined\": true}'; cat > /dev/null; echo '{\"is_cut\": false, \"n_bytes\": 9}'; printf x; exit 3"],
    ids=["starting", "ready", "asked", "answering"],
)  # fmt: skip
def test_a_process_that_dies_is_an_error_whenever_it_does(stand_in, script):
    stand_in(script)
    with pytest.raises(QueryError) as caught:
        ask("c.duckdb", "SELECT 1")
    assert caught.value.context["found"] == "exit code 3"


def test_a_query_that_is_too_long_starts_no_process(stand_in):
    folder = stand_in('touch "$(dirname "$0")/seen"')
    for sql, params in ((BOMBS["in list"], {}), ("SELECT $x", {"x": "x" * 200_000})):
        with pytest.raises(QueryError) as caught:
            ask("c.duckdb", sql, params=params)
        assert caught.value.context["found"] > 65_536
    assert not (folder / "seen").exists()


def test_asking_starts_without_dagster_and_reading_libraries():
    heavy = {"dagster", "duckdb", "numpy", "pandas", "pyarrow", "torch"}
    code = "import gr2st_assets.cli, gr2st_assets.asking, gr2st_assets.readers, gr2st_assets.sandbox, json, sys"
    assert heavy & set(told(f"{code}\nprint(json.dumps(sorted(sys.modules)))")) == set()


def test_no_rows_have_their_columns(shown):
    table = ask(shown.catalog, "SELECT 1 AS a WHERE false").table
    assert table.schema == pa.schema([("a", pa.int32())])


@pytest.fixture
def store(tmp_path):
    """Serve a folder as an S3 store on loopback; give the folder, the store's address, and who asked with a key."""
    keys: set[bool] = set()

    class Objects(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            keys.add("Credential=canary" in self.headers.get("Authorization", ""))
            path = tmp_path / self.path.partition("?")[0].lstrip("/")
            data = path.read_bytes() if path.is_file() else b""
            first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            part = data[int(first or 0) : int(last) + 1 if last else None]
            self.send_response(404 if not data else 206 if first else 200)
            self.send_header("Content-Length", str(len(part)))
            self.send_header("ETag", '"one"')
            self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(part)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Objects) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()
        thread.join()


def test_a_lake_in_a_store_is_read_with_the_credentials_of_the_asker(store, shown, monkeypatch):
    pytest.importorskip("s3fs")
    folder, address, keys = store
    (folder / "bucket" / "raw").mkdir(parents=True)
    shutil.copy(shown.names["file"], folder / "bucket" / "raw" / "data.parquet")
    given = {
        "ACCESS_KEY_ID": "canary",
        "SECRET_ACCESS_KEY": "x",
        "ENDPOINT_URL": address,
        "DEFAULT_REGION": "us-east-1",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    root = UPath("s3://bucket")
    build_catalog(root, {"raw/slides": [str(root / "raw" / "data.parquet")]}, folder / "catalog.duckdb")
    answer = ask(folder / "catalog.duckdb", "SELECT count(*) AS n FROM slides", is_remote=True, limits=PATIENT)
    assert answer.table.to_pylist() == [{"n": 3}]
    assert keys == {True}
