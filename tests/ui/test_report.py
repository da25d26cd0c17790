"""The report in a real browser: readable offline, without scripts, showing what the lake holds."""

import duckdb
import pytest

from gr2st_assets.report.page import write_page
from gr2st_assets.sql import run_query
from samples.reported import COHORT, MARKUP, add_reported
from samples.small_lake import SmallLake


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = SmallLake(tmp_path_factory.mktemp("reported"))
    add_reported(lake, calibration=True)
    lake.build()
    return lake


@pytest.fixture(scope="module")
def report(lake):
    """Path of the page."""
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        page = write_page(
            lambda query: connection.sql(query).to_arrow_reader().read_all(), COHORT,
            state_digest="0" * 64, settings={},
        )  # fmt: skip
    path = lake.catalog.parent / "report.html"
    path.write_text(page.html, encoding="utf-8")
    return path.as_uri()


def test_the_page_asks_nobody_for_anything_and_runs_nothing(recorded_page, report):
    with recorded_page() as opened:
        opened.page.goto(report)
        opened.page.wait_for_load_state("networkidle")
        assert (opened.outside, opened.dialogs, opened.errors) == ([], [], [])
        assert opened.page.locator("script").count() == 0
        assert opened.page.locator("#markers td.gene").all_inner_texts() == ["ERBB2"]
        assert MARKUP in opened.page.locator("#worst").inner_text()


def test_what_a_page_asks_for_outside_is_seen_and_not_reached(recorded_page):
    with recorded_page() as opened:
        opened.page.set_content('<img src="https://example.invalid/x.png">')
        opened.page.wait_for_load_state("networkidle")
        assert opened.outside == ["https://example.invalid/x.png"]


def test_numbers_on_the_page_are_those_of_the_lake(recorded_page, report, lake):
    query = (
        "select method || '_' || profile as method, printf('%.1f', pearson_zero_filled) as r from scoreboard "
        "where split_unit = 'patient' order by is_diagnostic, pearson_zero_filled desc"
    )
    expected = [(row["method"], row["r"]) for row in run_query(lake.catalog, query).table.to_pylist()]
    with recorded_page() as opened:
        opened.page.goto(report)
        rows = opened.page.locator("#scoreboard tbody tr")
        assert rows.first.is_visible()
        shown = [rows.nth(i).locator("td").all_inner_texts() for i in range(rows.count())]
        assert [(cells[0], cells[2].replace("\N{MINUS SIGN}", "-")) for cells in shown] == expected
        assert opened.page.locator("tr.own td").first.inner_text() == "low_rank_m224"
        assert opened.page.locator(".tile b").first.inner_text() == "0.500"


def test_maps_are_drawn_at_equal_aspect_with_y_downwards(recorded_page, report):
    with recorded_page() as opened:
        opened.page.goto(report)
        boxes = opened.page.locator("#map_best g.spots").evaluate_all(
            "groups => groups.map(g => { const b = g.getBBox(); return [b.width, b.height]; })"
        )
        assert len(boxes) == 3
        for width, height in boxes:  # three spots wide, four high: 200 by 300 px, dots left out of the box
            assert height / width == pytest.approx(1.5, abs=0.01)


def test_dark_mode_and_closed_queries(recorded_page, report):
    colours = set()
    for scheme in ("light", "dark"):
        with recorded_page(color_scheme=scheme) as opened:
            opened.page.goto(report)
            colours.add(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            query = opened.page.locator("#scoreboard pre.sql")
            assert not query.is_visible()
            opened.page.locator("#scoreboard summary").click()
            assert query.is_visible()
    assert len(colours) == 2
