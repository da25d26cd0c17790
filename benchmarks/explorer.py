"""The section explorer at full size in a browser: file size, time to load, time to choose a gene, time to move.

Usage: python benchmarks/explorer.py [--spots 4000] [--genes 785] [--chromium /usr/bin/chromium]

Random arrays through the writer of `gr2st explore`; observed, predicted and interval of every spot and gene. Times are
of headless Chromium, which draws on the CPU: a gene from the choice until its last panel is drawn, a frame as the time
between two while the section is dragged.
"""

import argparse
import io
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from gr2st_assets.explorer.page import write_page
from gr2st_assets.explorer.view import Expression, ReferenceSpots, Slide, Spots, View
from gr2st_core.graphs.spatial import radius_edges

SWITCH = """async (genes) => {
  const opened = await explorer, times = [];
  for (const gene of genes) {
    const started = performance.now();
    await opened.showGene(gene);
    opened.drawNow();
    opened.panels.predicted.middle.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - started);
    await new Promise(requestAnimationFrame);
  }
  return times;
}"""
MOVE = """async (n) => {
  const opened = await explorer, times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let k = 0; k < n; k += 1) {
    opened.look(() => opened.camera.move(k % 2 ? 3 : -2, 1));
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""


def random_view(n_spots: int, n_genes: int) -> View:
    """Draw a section on a hexagonal array of 100 um, a third of whose measurements are zero."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n_spots)))
    row, column = np.divmod(np.arange(n_spots), side)
    xy = np.stack([100 * (column + row % 2 / 2), 100 * row * np.sqrt(0.75)], axis=1) + 200
    predicted = rng.gamma(2.0, 0.5, (n_spots, n_genes)).astype(np.float32)
    observed = np.where(rng.random(predicted.shape) < 1 / 3, 0, rng.gamma(2.0, 0.5, predicted.shape)).astype(np.float32)
    jpeg = io.BytesIO()
    small = rng.integers(120, 255, (160, 160, 3), dtype=np.uint8)
    Image.fromarray(small).resize((1600, 1600)).save(jpeg, "jpeg", quality=85)
    index = rng.integers(0, 20_000, (n_spots, 5)).astype(np.int32)
    names = tuple((f"random/{k % 30}", f"spot{k}") for k in range(20_000))
    return View(
        section="random/A1",
        model_id="0",
        facts={"patient": "A"},
        slide=Slide((int(xy[:, 0].max()) + 200,) * 2, 1.0, jpeg.getvalue(), "Random pixels."),
        spots=Spots(
            tuple(f"{a}x{b}" for a, b in zip(row, column, strict=True)), xy, 55.0, "",
            tuple("abc"[k] if k < 3 else None for k in rng.integers(0, 4, n_spots)), rng.random(n_spots),
            radius_edges(xy / 100, 3.0), "",
        ),
        expression=Expression(
            tuple(f"GENE{k}" for k in range(n_genes)), (None,) * n_genes, rng.random(n_genes), predicted, observed,
            (0.5 + 0.2 * predicted).astype(np.float32), "90% intervals",
        ),
        references=ReferenceSpots(names, index, rng.random((n_spots, 5)).astype(np.float32), ""),
    )  # fmt: skip


def measure(page: Page, path: Path, n_genes: int) -> dict[str, float]:
    """Load the page, choose 40 genes, drag through 90 frames; milliseconds, medians."""
    started = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("#panels[data-gene]", timeout=120_000)
    loaded = 1000 * (time.perf_counter() - started)
    switches = page.evaluate(SWITCH, list(range(1, min(41, n_genes))))
    whole = page.evaluate(MOVE, 90)
    page.evaluate("explorer.then((opened) => opened.look(() => opened.camera.zoomAt(4, 200, 200)))")
    return {
        "load": loaded,
        "choose a gene": median(switches),
        "frame, whole section": median(whole),
        "frame, zoomed in": median(page.evaluate(MOVE, 90)),
    }


def main() -> None:
    """Write the page, measure it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spots", type=int, default=4000)
    parser.add_argument("--genes", type=int, default=785)
    parser.add_argument("--chromium", type=Path, default=Path("/usr/bin/chromium"))
    arguments = parser.parse_args()
    started = time.perf_counter()
    content = write_page(random_view(arguments.spots, arguments.genes))
    print(f"{arguments.spots} spots x {arguments.genes} genes: {len(content) / 1e6:.1f} MB, ", end="")
    print(f"written in {time.perf_counter() - started:.1f} s")
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    executable = arguments.chromium if arguments.chromium.is_file() else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "explore.html"
        path.write_bytes(content)
        with playwright.chromium.launch(executable_path=executable, args=options) as browser:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            for name, milliseconds in measure(page, path, arguments.genes).items():
                print(f"{name}: {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
