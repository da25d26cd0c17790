"""The Dagster UI in a real browser: look at the graph, materialize a partition, look at it, switch a sensor on."""

import base64
import shutil

import pytest
from playwright.sync_api import expect

from gr2st_assets.definitions import defs

pytestmark = pytest.mark.slow

ASSET, SECTION = "graphs/spatial_graph", "A1"
PARTITION = f"tiny/{SECTION}"
WAIT_MS = 120_000


@pytest.fixture(scope="module")
def served(materialized, serve, tmp_path_factory):
    """A copy of the project behind a server; one section's spatial graph is gone from it."""
    project = materialized.copy(tmp_path_factory.mktemp("ui") / "home")
    shutil.rmtree(project.home / "lake" / ASSET / "cohort=tiny" / f"section={SECTION}")
    (project.home / "settings").mkdir()
    (project.home / "settings" / "retrain.yml").write_text("methods: [ridge_color]\n")  # sensors make what it reads
    with serve(project) as server:
        yield project, server


@pytest.fixture
def ui(served, recorded_page):
    """Give a page of the UI; whatever it asked for is this server's."""
    url = f"http://127.0.0.1:{served[1].port}"
    with recorded_page((url,), viewport={"width": 1400, "height": 900}, base_url=url) as opened:
        opened.page.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        yield opened.page
        assert opened.outside == []


def test_the_graph_of_a_group_shows_its_assets_and_their_checks(ui):
    ui.goto("/locations/__repository__@gr2st_assets/asset-groups/graphs/lineage")
    for asset in ("spatial_graph", "functional_graph"):
        expect(ui.get_by_text(asset, exact=True).first).to_be_visible()
    expect(ui.get_by_text("2 / 2 Passed").first).to_be_visible()


def test_a_partition_is_materialized_and_its_picture_plots_and_checks_are_shown(ui, served, materialized):
    project, server = served
    before = {run["runId"] for run in server.runs()}
    ui.goto(f"/assets/{ASSET}?view=partitions")
    ui.get_by_role("button", name="Materialize…").click()
    dialog = ui.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("Select a partition or create one").click()
    ui.get_by_role("dialog").last.locator("span", has_text=PARTITION).click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    expect(dialog).to_be_hidden()
    own = {"key": "dagster/partition", "value": PARTITION}
    (run,) = server.wait_for_runs(lambda run: run["runId"] not in before and own in run["tags"])
    ui.goto(f"/runs/{run['runId']}")
    expect(ui.get_by_text("Success", exact=True).first).to_be_visible()
    assert project.digests(ASSET) == materialized.digests(ASSET)

    ui.goto(f"/assets/{ASSET}?view=partitions&partition={PARTITION}")
    expect(ui.get_by_role("link", name=run["runId"][:8]).first).to_be_visible()
    (slot,) = (slot for slot in project.lake.slots(ASSET) if slot.value("section") == SECTION)
    n_edges = project.lake.require_head(slot).provenance.metadata["n_edges"]
    expect(ui.get_by_role("row", name="n_edges")).to_contain_text(str(n_edges))
    ui.get_by_text("[Show Markdown]").click()
    shown = ui.get_by_role("dialog").locator("img")
    expect(shown).to_be_visible()
    kind, _, content = shown.get_attribute("src").partition("base64,")
    assert kind == "data:image/png;"
    assert base64.b64decode(content) == (project.lake.folder(slot) / "picture.png").read_bytes()
    assert shown.evaluate("image => image.naturalWidth") > 100

    ui.goto(f"/assets/{ASSET}?view=overview")
    ui.get_by_role("button", name="Plots").click()
    for number in ("n_edges", "mean_degree"):
        expect(ui.get_by_text(number, exact=True).first).to_be_visible()
    expect(ui.locator("canvas").first).to_be_visible()

    for check in ("contract", "graph_degrees"):
        ui.goto(f"/assets/{ASSET}?view=checks&checkDetail={check}")
        expect(ui.get_by_text("Passed", exact=True).first).to_be_visible()


def test_a_sensor_that_is_switched_on_ticks(ui):
    ui.goto("/automation")
    for automation in (*defs.sensors, *defs.schedules):
        expect(ui.get_by_text(automation.name, exact=True).first).to_be_visible()
    ui.get_by_role("link", name="inbox_sensor").first.click()
    row, latest = (ui.get_by_role("row", name=name) for name in ("Running", "Latest tick"))
    switch, drawn = row.get_by_role("checkbox"), row.locator("label")
    expect(latest).to_contain_text("0 runs requested")
    expect(switch).to_be_checked()
    drawn.click()
    expect(switch).not_to_be_checked()
    last = latest.text_content()
    drawn.click()
    expect(switch).to_be_checked()
    expect(latest).not_to_have_text(last)
    expect(latest).to_contain_text("0 runs requested")
