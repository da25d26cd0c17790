"""Pictures of the UI for the documentation, taken of the demo's project: ``make screenshots`` after ``make demo``.

Starts ``dagster dev`` over the home folder, opens every page of ``SHOTS`` in a headless Chromium, waits for what the
page is shown for, and writes ``docs/images/<name>.png``. A further picture is a further `Shot`; its address may be a
path of the UI or a ``gr2st`` command that writes a page.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from gr2st_assets.project import home, prepare_environment

IMAGES = Path(__file__).parent / "images"
VIEWPORT = {"width": 1400, "height": 900}
MOST_BYTES = 250_000
START_S, WAIT_MS, SETTLE_MS = 180, 60_000, 1500


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes
    ----------
    name
        File name without its suffix.
    address
        Path of the Dagster UI, or the ``gr2st`` command that writes the page, without its ``--out``.
    ready
        Text that is there once the page shows what it is to show.
    act
        What is done with the page then, if anything.
    """

    name: str
    address: str
    ready: str
    act: Callable[[Page], None] | None = None


def show_picture(page: Page) -> None:
    """Open the picture in a partition's metadata."""
    page.get_by_text("[Show Markdown]").first.click()
    page.get_by_role("dialog").locator("img").wait_for()


def choose_spot(page: Page) -> None:
    """Click the spot in the middle of the list, on the first map."""
    x, y = page.evaluate(
        "explorer.then(({camera: {screen}}) => { const k = 2 * Math.floor(screen.length / 4); "
        "return [screen[k], screen[k + 1]]; })"
    )
    page.locator(".stage").first.click(position={"x": x, "y": y})


SHOTS = (
    Shot("asset_graph", "/locations/__repository__@gr2st_assets/asset-groups/graphs/lineage", "spatial_graph"),
    Shot("section", "/assets/raw/slides?view=partitions&partition=demo/A1", "[Show Markdown]", show_picture),
    Shot("checks", "/assets/raw/slides?view=checks&checkDetail=contract", "Passed"),
    Shot("report", "report demo", "Verdict"),
    Shot("explorer", "explore demo/B1", "Observed", choose_spot),
)


@contextmanager
def served() -> Iterator[str]:
    """Run the UI over the home folder on a free port; its address."""
    prepare_environment()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = ["dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        [str(Path(sys.executable).parent / "dagster"), *command], cwd=home(), start_new_session=True
    ) as process:
        try:
            wait_until_up(url)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_up(url: str) -> None:
    """Wait for an answer.

    Raises
    ------
    TimeoutError
    """
    stop = time.monotonic() + START_S
    while time.monotonic() < stop:
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=10):
                return
        except urllib.error.URLError:
            time.sleep(1)
    raise TimeoutError(f"{url} did not answer")


def written(shot: Shot, folder: Path) -> Path:
    """Let ``gr2st`` write a page."""
    path = folder / f"{shot.name}.html"
    gr2st = Path(sys.executable).parent / "gr2st"
    subprocess.run([str(gr2st), *shot.address.split(), "--out", str(path)], cwd=home(), check=True)
    return path


def take(page: Page, shot: Shot, url: str, folder: Path) -> bytes:
    """Open a page, act, and picture it in 256 colours.

    Raises
    ------
    ValueError
        The picture is larger than the documentation may hold.
    """
    page.goto(url + shot.address if shot.address.startswith("/") else written(shot, folder).as_uri())
    page.get_by_text(shot.ready, exact=True).first.wait_for()
    if shot.act is not None:
        shot.act(page)
    page.wait_for_timeout(SETTLE_MS)  # what fades in has come
    stream = io.BytesIO()
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256).save(stream, "PNG", optimize=True)
    if len(stream.getvalue()) > MOST_BYTES:
        raise ValueError(f"{shot.name}: {len(stream.getvalue())} bytes, at most {MOST_BYTES}")
    return stream.getvalue()


def main(names: Sequence[str]) -> None:
    """Take the named pictures, all by default."""
    IMAGES.mkdir(exist_ok=True)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with served() as url, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(WAIT_MS)
        for shot in SHOTS:
            if not names or shot.name in names:
                (IMAGES / f"{shot.name}.png").write_bytes(take(page, shot, url, Path(folder)))
                print(IMAGES / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
