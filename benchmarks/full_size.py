"""The published systems in full size on one fold: seconds an epoch, memory of training and of predicting 4,096 spots.

Four sections with the spots of her2st's B4, C2, C3 and C4 and 785 genes; counts, features and pixels are drawn at
random, which costs what real ones cost, and no cohort is needed. The method itself trains: an inner run of two epochs
on three sections, of which the second is timed, and a final training on all four. In a whole fold both have as many
epochs as the published settings say, at most. Every method has a process of its own; CUDA is taken where there is one.

    python benchmarks/full_size.py [method ...] [--spots 4096]
"""

import argparse
import multiprocessing
import time
from dataclasses import replace

import numpy as np
import torch
from memory import forget_peak, peak_mb
from train_step import PANEL, drawn_section

from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import Settings
from gr2st_core.types import TrainSection

N_SPOTS = {"B4": 283, "C2": 187, "C3": 180, "C4": 184}
FULL = [spec.name for spec in COMPARATORS if spec.setting == "full"]


def noise(pixel_xy: np.ndarray, *_: float, input_px: int, **__: float) -> np.ndarray:
    """Patches of an image of which every pixel was drawn."""
    return np.random.default_rng(len(pixel_xy)).integers(0, 256, (len(pixel_xy), input_px, input_px, 3), dtype=np.uint8)


def section(n_spots: int, name: str) -> TrainSection:
    """A drawn section that has both features and pixels."""
    drawn = drawn_section(n_spots, name)
    features = {M224[0]: drawn.image.features["drawn"]}
    return replace(drawn, image=replace(drawn.image, features=features, patches=noise))


def measure(name: str, n_spots: int) -> None:
    """Train a little, predict a large section, print a line."""
    spec, full = METHODS[name], Settings()
    own = getattr(full, spec.settings)
    method = spec.build(full.model_copy(update={spec.settings: own.model_copy(update={"epochs": 2})}))
    ends: list[float] = []

    def note(*_: object) -> None:
        ends.append(time.perf_counter())

    sections = [section(n, key) for key, n in N_SPOTS.items()]
    fitted = method.fit(FitRequest(sections, PANEL, "per_spot", progress=note, split_unit="section"))
    epoch, trained_mb = ends[1] - ends[0], peak_mb()
    size = sum(values.size for values in fitted.state().weights.values())
    large = section(n_spots, "large").image
    forget_peak()
    began = time.perf_counter()
    values = fitted.predict(large).values
    predicting = time.perf_counter() - began
    if not np.isfinite(values).all():
        raise RuntimeError(f"{name} predicted what is not finite")
    gpu = f", on the GPU {torch.cuda.max_memory_reserved() / 2**20:.0f}" if torch.cuda.is_available() else ""
    print(
        f"{name}: {size / 1e6:.1f} M numbers stored; an inner epoch {epoch:.1f} s, so {own.epochs} in"
        f" {own.epochs * epoch / 60:.0f} min; {n_spots} spots predicted in {predicting:.1f} s;"
        f" peak {trained_mb:.0f} MB in training, {peak_mb():.0f} MB in predicting{gpu}",
        flush=True,
    )


def main() -> None:
    """Measure the named methods, all in full size by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=FULL, metavar="method")
    parser.add_argument("--spots", type=int, default=4096)
    asked = parser.parse_args()
    print(f"{'CUDA' if torch.cuda.is_available() else 'CPU'}, {torch.get_num_threads()} threads", flush=True)
    failed = []
    for name in asked.methods:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(name, asked.spots))
        process.start()
        process.join()
        if process.exitcode:
            failed.append(f"{name} ended with {process.exitcode}")
    if failed:
        raise SystemExit("; ".join(failed))


if __name__ == "__main__":
    main()
