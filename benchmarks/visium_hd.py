"""Peak memory and time of reading a Visium HD sample of 100,000 bins, made here, of 16 um and 18,085 genes.

Reads in a process of its own, on one thread, and prints its peak resident memory, imports included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from memory import peak_mb

N_GENES, BIN_UM, SIDE = 18_085, 16, 419


def write_sample(folder: Path, n_bins: int, genes_per_bin: int) -> None:
    """Write one sample; every bin has equally many genes, at random."""
    draw = np.random.default_rng(0)
    outs = folder / f"S1/outs/binned_outputs/square_{BIN_UM:03d}um"
    (outs / "spatial").mkdir(parents=True)
    row, col = np.divmod(np.arange(SIDE * SIDE), SIDE)
    names = [f"s_{BIN_UM:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(row, col, strict=True)]
    positions = {
        "barcode": names, "in_tissue": (np.arange(len(names)) < n_bins).astype(int), "array_row": row,
        "array_col": col, "pxl_row_in_fullres": row * 58.4, "pxl_col_in_fullres": col * 58.4,
    }  # fmt: skip
    pq.write_table(pa.table(positions), outs / "spatial/tissue_positions.parquet")
    factors = {"spot_diameter_fullres": 58.4, "bin_size_um": BIN_UM, "tissue_hires_scalef": 0.1}
    (outs / "spatial/scalefactors_json.json").write_text(json.dumps(factors), encoding="utf-8")
    (folder / "patients.tsv").write_text("section_id\tpatient_id\nS1\tP1\n", encoding="utf-8")
    shape = (n_bins * genes_per_bin,)
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "w") as file:
        matrix = file.create_group("matrix")
        matrix["barcodes"] = np.array(names[:n_bins], dtype="S")
        matrix["shape"] = [N_GENES, n_bins]
        matrix["indptr"] = np.arange(n_bins + 1, dtype=np.int64) * genes_per_bin
        indices = matrix.create_dataset("indices", shape, dtype="i8", chunks=(80_000,), compression="gzip")
        data = matrix.create_dataset("data", shape, dtype="i4", chunks=(80_000,), compression="gzip")
        stride = N_GENES // genes_per_bin
        for start in range(0, n_bins, 5_000):
            n = min(5_000, n_bins - start)
            genes = np.arange(genes_per_bin) * stride + draw.integers(0, stride, (n, genes_per_bin))
            indices[start * genes_per_bin : (start + n) * genes_per_bin] = genes.ravel()
            data[start * genes_per_bin : (start + n) * genes_per_bin] = draw.geometric(0.6, n * genes_per_bin)
        # as in the human reference, some ids share a symbol
        symbols = [f"G{number // 2 if number < 20 else number}" for number in range(N_GENES)]
        matrix["features/name"] = np.array(symbols, dtype="S")
        matrix["features/id"] = np.array([f"ENSG{number:011d}" for number in range(N_GENES)], dtype="S")
        matrix["features/feature_type"] = np.array([b"Gene Expression"] * N_GENES)
        matrix["features/genome"] = np.array([b"GRCh38"] * N_GENES)


def read_sample(folder: Path) -> None:
    """Read it, and print what that took."""
    import scanpy  # noqa: F401 - its import is not part of what is measured

    from gr2st_core.cohorts.spaceranger import SpaceRangerReader

    reader = SpaceRangerReader()
    entries, faults = reader.entries("hd", folder)
    if faults:
        raise faults[0]
    before, started = peak_mb(), time.process_time()
    section = reader.read(entries[0])
    seconds = time.process_time() - started
    n_entries = 0 if section.counts is None else section.counts.matrix.nnz
    print(f"{len(section.spot_ids)} bins, {n_entries} entries: {seconds:.1f} s CPU, peak {peak_mb():.0f} MB")
    print(f"before reading, imports alone: {before:.0f} MB")


def main() -> None:
    """Write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bins", type=int, default=100_000)
    parser.add_argument("--genes-per-bin", type=int, default=500)
    parser.add_argument("--read", type=Path, help="a sample that is there already")
    asked = parser.parse_args()
    if asked.read is not None:
        read_sample(asked.read)
        return
    with tempfile.TemporaryDirectory() as temporary:
        write_sample(Path(temporary), asked.bins, asked.genes_per_bin)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, "--read", temporary], check=True, env=environment)


if __name__ == "__main__":
    main()
