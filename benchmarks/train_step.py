"""Time of one training step of GR2ST against its arithmetic floor, at three section sizes.

The floor is the step's matrix arithmetic with 20 edges a spot (14.6 MFLOP a spot at 785 genes, 1,024 features) over the
rate of matrix products of the network's shapes, measured in turn with the steps: machines are noisy, ratios of one run
less so. Both are measured by the clock and in CPU-seconds; on a busy machine threads wait for each other, and the
latter is the fairer. The spots and their counts are drawn at random; no cohort is needed.

    python benchmarks/train_step.py [r1|r2] [threads]
"""

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy import sparse

from gr2st_core.cells.classes import CLASSES
from gr2st_core.keys import SectionKey
from gr2st_core.models.gr2st_published.learner import PublishedLearner
from gr2st_core.settings import Settings
from gr2st_core.types import CellTypes, Counts, ImageSection, Panel, TrainSection

SIZES = (187, 306, 712)
N_GENES, N_FEATURES = 785, 1024
FLOP_PER_SPOT = 14.6e6
REPEATS = 9
PANEL = Panel("drawn", tuple(f"g{k}" for k in range(N_GENES)))


def drawn_section(n_spots: int, name: str = "N") -> TrainSection:
    """A section of a square grid, with counts as sparse as those of the 1k arrays."""
    rng = np.random.default_rng(n_spots)
    side = int(np.ceil(np.sqrt(n_spots)))
    grid = np.stack(np.divmod(np.arange(n_spots), side)[::-1], axis=1).astype(float) + 3
    image = ImageSection(
        key=SectionKey("drawn", name),
        patient_id="N",
        spot_ids=np.array([f"{x:.0f}x{y:.0f}" for x, y in grid]),
        array_xy=grid,
        pixel_xy=290 * grid,
        um_per_px=200 / 290,
        pitch_px=290.0,
        features={"drawn": rng.normal(size=(n_spots, N_FEATURES)).astype(np.float32)},
    )
    rate = rng.gamma(0.3, 4.0, size=N_GENES) * rng.gamma(2.0, 0.5, size=(n_spots, 1))
    types = CellTypes(CLASSES, rng.dirichlet(np.full(len(CLASSES), 0.5), size=n_spots), "expression", "drawn")
    return TrainSection(image, Counts(sparse.csr_matrix(rng.poisson(rate)), PANEL.genes), types)


def gemm(n_spots: int) -> tuple[Callable[[], None], float]:
    """Two matrix products of the network's shapes, four times, and their FLOP."""
    pairs = [(torch.randn(n_spots, d_in), torch.randn(d_in, d_out)) for d_in, d_out in ((N_GENES, 256), (256, 2048))]

    def multiply() -> None:
        for left, right in pairs * 4:
            left @ right

    return multiply, 4 * sum(2 * left.numel() * right.shape[1] for left, right in pairs)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and of all cores."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def main() -> None:
    """Print a line per size; medians of interleaved repeats."""
    profile, threads = (sys.argv[1:] + ["r1", "2"][len(sys.argv) - 1 :])[:2]
    torch.set_num_threads(int(threads))
    settings = getattr(Settings(), f"gr2st_{profile}")
    print(f"gr2st {profile}, {threads} threads, {N_GENES} genes, {N_FEATURES} features, median of {REPEATS}")
    for n_spots in SIZES:
        learner = PublishedLearner(
            [drawn_section(n_spots)],
            panel=PANEL,
            seed=0,
            features=("drawn",),
            settings=settings,
            device=torch.device("cpu"),
        )
        multiply, flop = gemm(n_spots)
        learner.step(0, 0), multiply()
        pairs = [(seconds(partial(learner.step, 0, 0)), seconds(multiply)) for _ in range(REPEATS)]
        shown = []
        for kind, name in enumerate(("clock", "CPU")):
            step = statistics.median(pair[0][kind] for pair in pairs)
            floor = n_spots * FLOP_PER_SPOT / flop * statistics.median(pair[1][kind] for pair in pairs)
            shown.append(f"{name} {1e3 * step:.0f} ms, floor {1e3 * floor:.0f} ms, ratio {step / floor:.2f}")
        print(f"{n_spots} spots: {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
