"""Writing a predicted slide of 10,000 spots and 785 genes, made here, in each form of export.

Each form is written in a process of its own, on one thread: seconds of the first write without imports, peak resident
memory, imports and the slide itself included, and bytes on disk.

    python benchmarks/exports.py
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from memory import peak_mb

from gr2st_core.exports.predicted_slide import IntervalEnds, PredictedSlide, Thumbnail
from gr2st_core.keys import SectionKey
from gr2st_core.types import ImageSection, Prediction

FORMS = {
    "parquet": ("gr2st_core.exports.parquet", "write_parquet", ()),
    "h5ad": ("gr2st_core.exports.h5ad", "write_h5ad", ("anndata",)),
    "spatialdata": ("gr2st_core.exports.spatialdata_store", "write_spatialdata", ("spatialdata",)),
    "geojson": ("gr2st_core.exports.geojson", "write_geojson", ("matplotlib",)),
}
SIDE, N_GENES, K = 100, 785, 5


def slide() -> PredictedSlide:
    """Spots on a square grid of 224 px, a thumbnail of 2,000 px, intervals and references for all of them."""
    draw = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2).astype(np.float64)
    ids = np.array([f"{x:.0f}x{y:.0f}" for x, y in grid])
    section = ImageSection(SectionKey("made", "S1"), "P1", ids, grid, 224 * (grid + 0.5), 0.5, 224.0)
    values = draw.gamma(2.0, 0.5, (len(ids), N_GENES)).astype(np.float32)
    half = 0.1 + 0.2 * values
    return PredictedSlide(
        section=section,
        prediction=Prediction(section.key, ids, tuple(f"G{number}" for number in range(N_GENES)), values),
        spot_diameter_um=55.0,
        provenance={"model_id": "made"},
        intervals=IntervalEnds(np.maximum(values - half, 0), values + half, 0.9, ("patient",) * N_GENES),
        ood_distance=draw.random(len(ids)),
        ood_quantile=draw.random(len(ids)),
        is_unusual=draw.random(len(ids)) > 0.9,
        reference_spots=np.char.add("made/S2/", draw.integers(0, 9999, (len(ids), K)).astype(str)),
        regions=np.where(grid[:, 0] < SIDE / 2, "tumour", ""),
        thumbnail=Thumbnail(draw.integers(0, 256, (2000, 2000, 3), dtype=np.uint8), 2000 / (224 * SIDE)),
    )


def measure(form: str, folder: Path) -> None:
    """Write one form and print its line."""
    module, function, imports = FORMS[form]
    for name in (module, *imports):
        importlib.import_module(name)
    made = slide()
    before, started = peak_mb(), time.perf_counter()
    getattr(importlib.import_module(module), function)(made, folder / f"S1.{form}")
    seconds = time.perf_counter() - started
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    print(
        f"{form:12} {seconds:6.1f} s {before:6.0f} MB before {peak_mb():6.0f} MB peak {size:7.1f} MB {len(files)} files"
    )


def main() -> None:
    """Measure every form, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=sorted(FORMS))
    form = parser.parse_args().form
    if form:
        with tempfile.TemporaryDirectory() as folder:
            measure(form, Path(folder))
        return
    for name in FORMS:
        subprocess.run(
            [sys.executable, __file__, "--form", name],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )


if __name__ == "__main__":
    main()
