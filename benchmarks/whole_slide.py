"""Time and peak memory of `gr2st predict` on a slide of 40,000 x 40,000 pixels, beside encoding alone.

Takes the champion of the lake in the current folder (`make demo` makes one). The slide is made here: 0.25 um per px,
tiled JPEG in three levels, a disc of tissue on glass. Encoding alone is the champion's encoders on as many patches that
are in memory already. Prints both, and the peak resident memory of the process that predicts, imports included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from memory import peak_mb

from gr2st_core.cohorts.synthetic_genes import draw_programmes
from gr2st_core.cohorts.synthetic_section import draw_section

TILE, UM_PER_PX, LEVELS = 512, 0.25, (1, 4, 16)
N_TIMED = 256


def write_slide(path: Path, side: int, share: float) -> None:
    """Write the slide; ``share`` of it is tissue."""
    programmes = draw_programmes(np.random.default_rng(0))
    tissue = draw_section("A1", "A", patient=1, section=0, programmes=programmes, seed=0).image
    middle = tissue.shape[0] // 2 - TILE
    stained = [tissue[middle + dy : middle + dy + TILE, middle + dx : middle + dx + TILE] for dy in (0, 256, 512)
               for dx in (0, 256, 512)]  # fmt: skip
    glass = np.full((TILE, TILE, 3), 243, np.uint8)

    def tiles(scale: int) -> Iterator[np.ndarray]:
        n = -(-(side // scale) // TILE)
        centre, radius = side / scale / 2, np.sqrt(share / np.pi) * side / scale
        for row in range(n):
            for column in range(n):
                off = np.hypot((row + 0.5) * TILE - centre, (column + 0.5) * TILE - centre)
                yield stained[(row * 7 + column * 3) % len(stained)] if off < radius else glass

    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for scale in LEVELS:
            file.write(
                tiles(scale), shape=(side // scale, side // scale, 3), dtype=np.uint8, tile=(TILE, TILE),
                photometric="rgb", compression="jpeg", subfiletype=int(scale > 1),
                resolution=(1e4 / UM_PER_PX / scale, 1e4 / UM_PER_PX / scale), resolutionunit="CENTIMETER",
                metadata=None,
            )  # fmt: skip


def predict(slide: Path, out: Path) -> dict[str, float]:
    """Predict the slide in this process, then encode as many patches from memory."""
    from gr2st_assets.drift_sections import ENCODER
    from gr2st_assets.lake import Lake
    from gr2st_assets.models import method_spec
    from gr2st_assets.project import lake_root
    from gr2st_assets.slide_files import SlidePredictor, SlideRequest
    from gr2st_assets.slide_models import find_model
    from gr2st_core.images.encoders import encoder_spec
    from gr2st_core.images.slide_patches import SpotPatches, view_of
    from gr2st_core.images.slides import open_slide
    from gr2st_core.settings import Settings

    lake, settings = Lake(lake_root()), Settings()
    model = find_model(lake, "", settings)
    begun = {"spots": time.perf_counter()}
    n_spots = 0

    def progress(label: str, _done: int, total: int) -> None:
        nonlocal n_spots
        begun.setdefault(label, time.perf_counter())
        n_spots = total if label == "spots" else n_spots

    SlidePredictor(lake, model, settings).predict(SlideRequest(slide, out), progress)
    ended, peak = time.perf_counter(), peak_mb()
    opened = open_slide(slide, max_megapixels=settings.limits.max_megapixels)
    middle = np.array(opened.size_px) / 2 + np.random.default_rng(0).uniform(-4000, 4000, (N_TIMED, 2))
    specs = [encoder_spec(name) for name in dict.fromkeys((*method_spec(model.name).features, ENCODER))]
    patches = SpotPatches.of(opened, specs, UM_PER_PX).cut(middle)
    encoders = {spec.name: spec.build(None) for spec in specs}
    started = time.perf_counter()
    for first in range(0, N_TIMED, settings.images.batch_size):
        for spec in specs:
            encoders[spec.name](patches[view_of(spec)][first : first + settings.images.batch_size])
    alone = (time.perf_counter() - started) * n_spots / N_TIMED
    return {"spots": n_spots, "features_s": begun["predicting"] - begun["spots"], "all_s": ended - begun["spots"],
            "encoding_alone_s": alone, "peak_mb": peak}  # fmt: skip


def main() -> None:
    """Make the slide, predict it in a process of its own, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=40_000)
    parser.add_argument("--share", type=float, default=0.3, help="of the slide that is tissue")
    parser.add_argument("--slide", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.slide:
        print(json.dumps(predict(arguments.slide, arguments.slide.parent / "out")))
        return
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.tif"
        write_slide(slide, arguments.side, arguments.share)
        size = slide.stat().st_size / 1e6
        command = [sys.executable, __file__, "--slide", str(slide)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    found = json.loads(answer.splitlines()[-1])
    print(f"slide {arguments.side} x {arguments.side} px, {size:.0f} MB, {found['spots']:.0f} spots")
    print(f"features {found['features_s']:.1f} s, all {found['all_s']:.1f} s, encoding alone "
          f"{found['encoding_alone_s']:.1f} s: {found['features_s'] / found['encoding_alone_s']:.2f} and "
          f"{found['all_s'] / found['encoding_alone_s']:.2f} times")  # fmt: skip
    print(f"peak memory {found['peak_mb']:.0f} MB")


if __name__ == "__main__":
    main()
