"""Exact retrieval from a large reference bank, in CPU-seconds, beside the bare matrix product and selection.

300 query spots, 100,000 training spots, 256 numbers an embedding, the 200 most similar; the bank is stored in 16 bits
and holds 785 genes. The bank's search also converts and scales its keys, and averages the neighbours' expression in
GR2ST's weights or in the published ones; the bare product does neither. All are run in turn and must name the same
neighbours.

    python benchmarks/retrieval.py [threads]
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import normalize

from gr2st_core.models.gr2st_published.retrieval import retrieve
from gr2st_core.retrieval.bank import ReferenceBank

N_QUERY, N_REFERENCE, WIDTH, N_GENES, TOP_K = 300, 100_000, 256, 785, 200
REPEATS = 5


def drawn_bank() -> ReferenceBank:
    """A bank whose embeddings form clusters, as those of tissue do."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(50, WIDTH))
    embeddings = centres[rng.integers(50, size=N_REFERENCE)] + rng.normal(size=(N_REFERENCE, WIDTH))
    return ReferenceBank(
        embeddings.astype(np.float16),
        rng.gamma(1.0, size=(N_REFERENCE, N_GENES)).astype(np.float16),
        np.repeat("drawn/N", N_REFERENCE),
        np.arange(N_REFERENCE).astype(str),
    )


def main() -> None:
    """Print a line per way; medians of interleaved repeats."""
    torch.set_num_threads(int((sys.argv[1:] or ["1"])[0]))
    bank = drawn_bank()
    queries = torch.from_numpy(bank.embeddings[:N_QUERY]).float() + 0.1
    unit_keys = normalize(torch.from_numpy(bank.embeddings).float())
    ways: dict[str, Callable[[], np.ndarray]] = {
        "bank": lambda: bank.search(queries, top_k=TOP_K, temperature=0.1).index,
        "bank, published weights": lambda: retrieve(bank, queries, top_k=TOP_K, distance_floor=1e-8).index,
        "product and selection alone": lambda: (normalize(queries) @ unit_keys.T).topk(TOP_K, dim=1).indices.numpy(),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        found = {}
        for name, search in ways.items():
            began = time.process_time()
            found[name] = np.sort(search(), axis=1)
            spent[name].append(time.process_time() - began)
    print(f"{N_QUERY} queries, {N_REFERENCE} keys, width {WIDTH}, top {TOP_K}, median of {REPEATS}")
    for name, times in spent.items():
        same = (found[name] == found["bank"]).mean()
        print(f"{name}: {statistics.median(times):.2f} CPU-s, {100 * same:.2f} % of the bank's neighbours")


if __name__ == "__main__":
    main()
