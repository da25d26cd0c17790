"""The report says what its queries say, holds no markup but its own, and is of one state of the lake."""

import html.parser
import re
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest

from gr2st_assets import manifest, steps
from gr2st_assets.assets import report as asset
from gr2st_assets.comparator_results import COSTS
from gr2st_assets.lake import Lake
from gr2st_assets.readers import preview
from gr2st_assets.records import Provenance
from gr2st_assets.report.answers import NOTHING, Answer, bound
from gr2st_assets.report.page import write_page
from gr2st_assets.report.spot_maps import Spots, gene_maps
from gr2st_assets.report.verdict import few_patients
from gr2st_assets.report_journeys import write_reports
from gr2st_assets.sql import run_query
from gr2st_assets.tables import conform, table_spec
from gr2st_core.errors import MissingArtifactError, SettingsError
from samples.reported import COHORT, MARKUP, N_SPOTS, add_reported
from samples.small_lake import SmallLake, rows_of

VOID = {"meta", "wbr"}


class Reader(html.parser.HTMLParser):
    """Tables and queries of each article, and every tag and attribute of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.articles: dict[str, dict[str, list]] = {}
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self._article = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "article":
            self._article = named["id"]
            self.articles[self._article] = {"rows": [], "queries": []}
        own = self.articles.get(self._article, {})
        if tag == "tr":
            own["rows"].append([])
        if tag in ("td", "th"):
            own["rows"][-1].append("")
        if named.get("class") == "sql":
            own["queries"].append("")
        if tag not in VOID:
            self._open.append("sql" if named.get("class") == "sql" else tag)

    def handle_endtag(self, tag):
        assert self._open.pop() in (tag, "sql")

    def handle_data(self, data):
        self.text += data
        if self._open and self._open[-1] in ("td", "th"):
            self.articles[self._article]["rows"][-1][-1] += data
        if self._open and self._open[-1] == "sql":
            self.articles[self._article]["queries"][-1] += data


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A lake with everything, and its page."""
    lake = SmallLake(tmp_path_factory.mktemp("reported"))
    add_reported(lake, calibration=True)
    return lake, page_of(lake)


def page_of(lake):
    with duckdb.connect(str(lake.build()), read_only=True) as connection:
        return write_page(
            lambda query: connection.sql(query).to_arrow_reader().read_all(), COHORT,
            state_digest="0" * 64, settings={1: {"name": MARKUP}},
        )  # fmt: skip


def test_every_table_is_the_answer_to_the_query_under_it(reported):
    lake, page = reported
    articles = Reader(page.html).articles
    shown = {key: part for key, part in articles.items() if part["rows"]}
    assert {
        "scoreboard",
        "differences",
        "sections",
        "markers",
        "worst",
        "best",
        "calibration",
        "failed",
        "published",
    } <= set(shown)
    for key, part in shown.items():
        answer = Answer("", run_query(lake.catalog, part["queries"][0]).table)
        header, *rows = part["rows"]
        assert header == answer.columns, key
        assert [tuple(row) for row in rows] == answer.cells, key
        assert rows


def test_every_other_query_runs_as_it_is_shown(reported):
    lake, page = reported
    queries = [query for part in Reader(page.html).articles.values() for query in part["queries"]]
    assert len(queries) > 25
    found = {query: run_query(lake.catalog, query).table.num_rows for query in queries}
    assert [query for query, rows in found.items() if rows == 0 and "recall_share" not in query
            and "quarantine" not in query] == []  # fmt: skip


def test_the_query_of_costs_is_shown_and_runs(reported):
    lake, page = reported
    query = bound(COSTS, {"cohort": COHORT, "panel": "p"}).strip()
    assert query in Reader(page.html).text
    assert run_query(lake.catalog, query).table.column_names[:3] == ["method", "setting", "parameters"]


def test_markup_in_names_stays_text_and_nothing_is_asked_for(reported):
    read = Reader(reported[1].html)
    assert not read.tags & {"script", "iframe", "link", "object", "embed", "form", "base", "img"}
    assert MARKUP in read.text
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    addresses = [value for name, value in read.attributes if name in ("href", "src", "xlink:href", "action")]
    assert all(value.startswith(("#", "data:image/jpeg;base64,")) for value in addresses)
    assert "url(" not in reported[1].html
    assert "@import" not in reported[1].html


def test_equal_tables_give_equal_bytes_wherever_they_lie(reported, tmp_path):
    lake = SmallLake(tmp_path)
    add_reported(lake, calibration=True)
    for files in lake.manifest.values():
        files.reverse()
    assert page_of(lake).html == reported[1].html


def test_what_was_not_made_is_said_to_be_missing(tmp_path):
    lake = SmallLake(tmp_path)
    add_reported(lake, champion=False)
    page = page_of(lake)
    assert page.about.event is None
    assert (page.about.unit, page.about.name) == ("patient", "low_rank_m224")
    text = Reader(page.html).text
    assert "No served model is on this scoreboard; low_rank_m224 is best" in text
    assert "No calibration yet." in text
    assert "No served model." in text


def test_coverage_of_a_patient_is_the_share_within_the_intervals(reported):
    rows = Reader(reported[1].html).articles["coverage_patients"]["rows"][1:]
    error = np.abs(np.float32(0.05) * np.arange(N_SPOTS) - np.float32(0.1) * np.arange(N_SPOTS))
    expected = f"{np.round((error <= 0.2).mean(), 3)}"
    assert [row[2] for row in rows] == [expected] * 3


def test_maps_share_a_scale_and_draw_every_spot_once():
    place = np.arange(6.0)
    spots = Spots(200 * (place % 2), 200 * (place // 2), 200)
    drawn = str(gene_maps(spots, place, place / 2, "title"))
    groups = re.findall(r'<g class="spots".*?</g>', drawn)
    dots = [re.findall(r'd="([^"]+)" stroke="([^"]+)"', group) for group in groups]
    assert [sum(path.count("M") for path, _ in paths) for paths in dots] == [6, 6, 6]
    highest = [paths[-1][1] for paths in dots[:2]]
    assert highest[0] == "#fde725"  # the top of viridis
    assert highest[1] != highest[0]  # half as high, on the same scale
    first = re.search(r"M(-?\d+) (-?\d+)h0", dots[0][0][0])
    last = re.search(r"M(-?\d+) (-?\d+)h0", dots[0][-1][0])
    right, down = int(last[1]) - int(first[1]), int(last[2]) - int(first[2])
    assert down == pytest.approx(2 * right, abs=2)  # two down, one to the right, in whole tenths
    assert right > 0


def test_few_patients_allow_no_claim():
    assert "nothing is claimed about other patients" in few_patients(5)
    assert "nothing is claimed" not in few_patients(6)


def test_values_are_literals_and_numbers_of_a_column_are_alike(small_lake):
    assert bound("gene = $gene AND n = $n", {"gene": "O'$n", "n": 3}) == "gene = 'O''$n' AND n = 3"
    table = run_query(small_lake.build(), "SELECT * FROM (VALUES (0.5::DOUBLE, 'a'), (-0.125, NULL)) t(r, name)").table
    assert Answer("", table).cells == [("0.500", "a"), ("\N{MINUS SIGN}0.125", NOTHING)]


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake that commands use."""
    monkeypatch.setenv("GR2ST_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    return Lake(tmp_path / "lake")


def publish(lake, name, frame, files=None):
    facts = Provenance("f", {}, "", "", "", "", 0.0)
    slot = lake.slot(name)
    return lake.write_table(
        slot, conform(table_spec("catalog/check_results" if name.startswith("checks/") else name), frame), facts,
        write_files=files,
    )  # fmt: skip


def test_a_report_is_of_one_state_and_its_own_checks_are_no_part_of_it(lake):
    board = rows_of(table_spec("evaluation/scoreboard"), 2, cohort="a")
    publish(lake, "evaluation/scoreboard", board)
    before = preview(lake, asset._is_read)
    checks = rows_of(table_spec("catalog/check_results"), 1)
    publish(lake, "checks/evaluation__report", checks)
    publish(lake, "serving/reference_bank", rows_of(table_spec("serving/reference_bank"), 1))
    assert preview(lake, asset._is_read).digest == before.digest
    publish(lake, "checks/raw__spots", checks)
    assert preview(lake, asset._is_read).digest != before.digest
    publish(lake, "evaluation/scoreboard", board.assign(cohort="b"))
    with before.catalog(lake) as path:  # what was published meanwhile does not mix in
        assert run_query(path, "SELECT DISTINCT cohort FROM scoreboard").table.to_pylist() == [{"cohort": "a"}]
        assert run_query(path, "SELECT * FROM reference_bank").table.num_rows == 0


def test_a_report_is_copied_out_of_the_lake(lake, tmp_path, capsys):
    said = []
    with pytest.raises(MissingArtifactError):
        write_reports("", None, said.append)
    frame = rows_of(table_spec(asset.NAME), 2, cohort=["a", "b"], file=["report_a.html", "report_b.html"])

    def write(folder):
        for name in frame.file:
            (folder / name).write_text(name)

    publish(lake, asset.NAME, frame, write)
    manifest.build_manifest(lake, {})
    with pytest.raises(MissingArtifactError) as missing:
        write_reports("c", None, said.append)
    assert missing.value.context["found"] == ["a", "b"]
    with pytest.raises(SettingsError) as several:
        write_reports("", tmp_path / "one.html", said.append)
    assert several.value.context["field"] == "--out"
    assert write_reports("b", tmp_path / "one.html", said.append) == 0
    assert (tmp_path / "one.html").read_text() == "report_b.html"
    assert write_reports("", None, said.append) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / name) for name in ("one.html", "report_a.html", "report_b.html")
    ]
    assert "generation 1" in said[-1]


def test_dagster_is_led_to_the_page_and_shows_the_verdict(lake):
    def write(folder):
        (folder / "report_a.html").write_text("page")
        (folder / "verdict.md").write_text("**a**")

    frame = rows_of(table_spec(asset.NAME), 1)
    shown = steps._metadata(lake, steps.Outcome(None, publish(lake, asset.NAME, frame, write), (), reused=False))
    assert isinstance(shown["report_a"], dg.PathMetadataValue)
    assert Path(shown["report_a"].path).read_text() == "page"
    assert shown["verdict"] == dg.MetadataValue.md("**a**")
