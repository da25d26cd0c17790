"""The explorer's page in a real browser: what is read from it is what was written, and nothing else happens."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gr2st_assets.explorer.page import SCRIPTS, write_page
from gr2st_assets.explorer.view import Expression, ReferenceSpots, Slide, Spots, View

HOSTILE = "</script><img src=http://outside.example/x.png onerror=\"alert('gene')\"><script>alert(1)</script>"
GENES = ("ERBB2", "EPCAM", HOSTILE, "ACTB", "GAPDH")
N_SPOTS = 12


def tiny_view() -> View:
    """Twelve spots, five genes, every part of a page; a name of each kind is hostile."""
    rng = np.random.default_rng(3)
    row, column = np.divmod(np.arange(N_SPOTS), 4)
    predicted = rng.gamma(2.0, size=(N_SPOTS, len(GENES))).astype(np.float32)
    edges = [
        (a, b) for a in range(N_SPOTS) for b in range(N_SPOTS) if abs(row[a] - row[b]) + abs(column[a] - column[b]) < 2
    ]
    return View(
        section="toy/A1",
        model_id="0",
        facts={"patient": HOSTILE, "method": "toy_method", "fold": "toy/patient-A"},
        slide=Slide((500, 400), 2.0, None, "No image."),
        spots=Spots(
            ids=(*(f"{x}x{y}" for x, y in zip(column[1:], row[1:], strict=True)), HOSTILE),
            pixel_xy=np.stack([100 + 100 * column, 100 + 100 * row], axis=1).astype(float),
            diameter_um=100.0,
            diameter_note="Spots are 100 um wide.",
            regions=(*("tumour", HOSTILE, None) * 3, "tumour", "tumour", None),
            quantile=np.append(rng.random(N_SPOTS - 1), np.nan),
            edges=np.array(edges).T,
            edge_note="They are those of the spatial graph.",
        ),
        expression=Expression(
            genes=GENES,
            groups=("her2_amplicon", "epithelial", None, None, None),
            pearson=np.array([0.5, np.nan, 0.75, 0.25, -0.125]),
            predicted=predicted,
            observed=rng.gamma(2.0, size=predicted.shape).astype(np.float32),
            half_width=(0.5 + 0.25 * predicted).astype(np.float32),
            interval_note="90% intervals, support: patient",
        ),
        references=ReferenceSpots(
            names=(("toy/B1", "3x3"), ("toy/B2", HOSTILE), ("toy/C1", "1x1")),
            index=np.tile(np.array([[2, 0], [0, 1]], dtype=np.int32), (N_SPOTS // 2, 1)),
            weights=np.tile(np.array([[0.5, 0.25]], dtype=np.float32), (N_SPOTS, 1)),
            note="The 2 training spots that weigh most.",
        ),
    )


@pytest.fixture
def opened(recorded_page, tmp_path) -> Callable[..., Any]:
    """``opened(view)``: a context with the recorded page of a view, drawn."""
    from contextlib import contextmanager

    @contextmanager
    def show(view: View, script: str = ""):
        path = tmp_path / "explore.html"
        path.write_bytes(write_page(view))
        with recorded_page(viewport={"width": 1400, "height": 900}) as recorded:
            if script:
                recorded.page.add_init_script(script)
            recorded.page.goto(path.as_uri())
            recorded.page.wait_for_selector("#panels[data-gene]")
            yield recorded
            assert recorded.outside == recorded.dialogs == recorded.errors == []

    return show


def choose_gene(page: Any, text: str) -> None:
    page.fill("#gene-search", text)
    page.wait_for_selector(
        f'#panels[data-gene="{GENES.index(page.text_content("#gene-list [aria-selected=true] em"))}"]'
    )


def place_of(page: Any, spot: int, panel: str = "predicted") -> tuple[float, float]:
    box = page.locator(f'[data-panel="{panel}"] .stage').bounding_box()
    x, y = page.evaluate("k => explorer.then((e) => [e.camera.screen[2 * k], e.camera.screen[2 * k + 1]])", spot)
    return box["x"] + x, box["y"] + y


def facts(page: Any, where: str) -> dict[str, tuple[str, str | None]]:
    """Text and full value of each fact in a list, by name."""
    items = page.eval_on_selector_all(
        f"{where} dd", "all => all.map((e) => [e.dataset.name, e.textContent, e.dataset.value])"
    )
    return {name: (text, value) for name, text, value in items}


def expected(view: View, spot: int, gene: int) -> dict[str, np.float32]:
    values = view.expression
    predicted = values.predicted[spot, gene]
    found = {"predicted": predicted, "half width": values.half_width[spot, gene]}
    if values.observed is not None:
        found |= {"observed": values.observed[spot, gene], "error": predicted - values.observed[spot, gene]}
    return found


def assert_shown(page: Any, where: str, view: View, spot: int, gene: int) -> None:
    shown = facts(page, where)
    assert shown["spot"] == (view.spots.ids[spot], None)
    for name, value in expected(view, spot, gene).items():
        text, full = shown[name]
        assert np.float32(full) == value
        assert text == f"{float(value):.3f}"


@pytest.mark.parametrize("script", ["", "delete globalThis.DecompressionStream"], ids=["stream", "own inflate"])
def test_values_of_a_chosen_gene_are_those_that_were_written(script, opened) -> None:
    view = tiny_view()
    with opened(view, script) as recorded:
        page = recorded.page
        choose_gene(page, "gapd")
        page.mouse.click(*place_of(page, 5))
        page.mouse.move(*place_of(page, 6, panel="observed"))
        assert_shown(page, "#spot-facts", view, 5, GENES.index("GAPDH"))
        assert_shown(page, "#tip", view, 6, GENES.index("GAPDH"))
        half, predicted = view.expression.half_width[6, 4], view.expression.predicted[6, 4]
        low, high = map(float, re.findall(r"[\d.]+", facts(page, "#tip")["interval"][0]))
        assert (low, high) == pytest.approx((max(0, predicted - half), predicted + half), abs=6e-4)
        choose_gene(page, "epc")  # the spot stays, its values change
        assert_shown(page, "#spot-facts", view, 5, GENES.index("EPCAM"))


def test_the_list_of_genes_is_used_by_keys_and_tells_r(opened) -> None:
    with opened(tiny_view()) as recorded:
        page = recorded.page
        page.focus("#gene-list")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector('#panels[data-gene="1"]')
        assert page.text_content("#gene-name") == "EPCAM"
        assert "not defined" in page.text_content("#gene-score")
        page.keyboard.press("End")
        page.wait_for_selector('#panels[data-gene="4"]')
        assert page.text_content("#gene-score") == "r = -0.125, rank 4 of 4"


def test_a_clicked_spot_tells_region_reference_spots_and_neighbours(opened) -> None:
    view = tiny_view()
    with opened(view) as recorded:
        page = recorded.page
        page.mouse.click(*place_of(page, 5))
        cells = page.locator("#references tr").evaluate_all(
            "rows => rows.map((r) => [...r.cells].map((c) => c.textContent))"
        )
        assert cells == [["toy/B1", "3x3", "50.00 %"], ["toy/B2", HOSTILE, "25.00 %"]]
        assert page.text_content("#edge-note").startswith("4 neighbours")
        shown = facts(page, "#spot-facts")
        assert shown["region"] == ("not labelled", None)
        assert float(shown["out of distribution"][1]) == pytest.approx(view.spots.quantile[5], abs=1e-6)
        page.keyboard.press("Escape")
        assert facts(page, "#spot-facts") == {}


def test_names_from_files_are_text_wherever_they_stand(opened) -> None:
    view = tiny_view()
    with opened(view) as recorded:
        page = recorded.page
        choose_gene(page, "onerror")
        page.mouse.click(*place_of(page, N_SPOTS - 1))
        page.mouse.move(*place_of(page, 1))
        page.select_option("#region-mode", "outline")
        assert page.text_content("#gene-name") == HOSTILE
        assert facts(page, "#spot-facts")["spot"] == (HOSTILE, None)
        assert facts(page, "#tip")["region"] == (HOSTILE, None)
        assert page.locator("#facts b").first.text_content() == HOSTILE
        assert page.locator("img").count() == 0
        assert page.locator("script:not([type])").count() == len(SCRIPTS)


def test_a_section_without_counts_shows_prediction_and_uncertainty_only(opened) -> None:
    view = tiny_view()
    view = replace(view, expression=replace(view.expression, observed=None, pearson=None))
    with opened(view) as recorded:
        page = recorded.page
        panels = page.eval_on_selector_all(".panel", "all => all.map((e) => e.dataset.panel)")
        assert panels == ["predicted", "uncertainty"]
        page.mouse.click(*place_of(page, 3))
        assert {"observed", "error"}.isdisjoint(facts(page, "#spot-facts"))
        assert_shown(page, "#spot-facts", view, 3, 0)


def test_without_intervals_the_panel_says_why(opened) -> None:
    view = tiny_view()
    view = replace(view, expression=replace(view.expression, half_width=None, interval_note="not calibrated yet"))
    with opened(view) as recorded:
        message = recorded.page.locator('[data-panel="uncertainty"] p')
        assert message.is_visible()
        assert message.text_content() == "No interval: not calibrated yet."


def test_spots_have_the_colour_of_their_value_and_all_panels_move_together(opened) -> None:
    view = tiny_view()
    drawn = """k => explorer.then((e) => {
      e.drawNow();
      return Object.values(e.panels).map(({ middle, palette, steps }) => {
        const [x, y] = [0, 1].map((n) => Math.floor(e.camera.screen[2 * k + n] * e.scene.ratio));
        const pixel = middle.getContext("2d").getImageData(x, y, 1, 1).data;
        return [[...pixel], [0, 8, 16].map((shift) => (palette[steps[k]] >>> shift) & 255)];
      });
    })"""
    with opened(view) as recorded:
        page = recorded.page
        before = place_of(page, 5)
        for _ in range(2):
            for pixel, colour in page.evaluate(drawn, 5):
                assert pixel == [*colour, 255]
            x, y = place_of(page, 5)
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 40, y + 10, steps=4)
            page.mouse.up()
        assert np.subtract(place_of(page, 5), before) == pytest.approx([80, 20], abs=1)


def test_the_same_view_gives_the_same_bytes() -> None:
    assert write_page(tiny_view()) == write_page(tiny_view())
