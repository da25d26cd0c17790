"""Time and memory of drawing GR2ST's functional graph of sections of growing size.

Spots are drawn at random and pass the tower as it is initialised; each size is a process of its own, whose growth in
peak memory is that of the drawing.

    python benchmarks/functional_graph.py [spots ...]
"""

import multiprocessing
import sys
import time

import numpy as np
import torch
from memory import peak_mb

from gr2st_core.models.gr2st.fitted import edges_between
from gr2st_core.models.gr2st.network import build_network
from gr2st_core.settings import Settings

SIZES = (712, 4_000, 20_000)
N_GENES, N_CLASSES = 785, 6


def draw(n_spots: int) -> tuple[float, float, int]:
    """CPU-seconds, growth of peak memory in MB, and edges."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tower = build_network(Settings().gr2st, d_features=1, offsets=torch.zeros(N_GENES)).spot.eval()
    spots, classes = torch.randn(n_spots, N_GENES), torch.randint(N_CLASSES, (n_spots,))
    ids = np.arange(n_spots).astype(str)
    edges_between(tower, spots[:50], classes[:50], ids[:50])
    before, began = peak_mb(), time.process_time()
    edges = edges_between(tower, spots, classes, ids)
    return time.process_time() - began, peak_mb() - before, len(edges)


def main() -> None:
    """Print a line per size."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for n_spots in map(int, sys.argv[1:] or SIZES):
            seconds, grown, n_edges = pool.apply(draw, (n_spots,))
            print(f"{n_spots} spots: {seconds:.2f} CPU-s, {grown:.0f} MB more, {n_edges} edges", flush=True)


if __name__ == "__main__":
    main()
