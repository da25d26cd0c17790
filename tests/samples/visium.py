"""Tiny samples as Space Ranger writes them, for tests to damage."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from gr2st_core.cohorts.visium_positions import COLUMNS

COUNTS = np.array([[12, 0, 3, 1], [0, 7, 1, 0], [0, 0, 5, 2]])
"""Spots in rows, in the order of ``BARCODES``; the last two genes share a symbol."""
GENES = ("ERBB2", "ACTB", "TBCE", "TBCE")
SUMMED = [[12, 0, 4], [0, 7, 1], [0, 0, 7]]
IDS = ("ENSG01", "ENSG02", "ENSG03", "ENSG04")
BARCODES = ("GTAC-1", "AAAC-1", "CCCA-1")
GENE = "Gene Expression"

PITCH = 200.0
ROWS = [
    ("AAAC-1", 1, 0, 0), ("CCCA-1", 1, 0, 2), ("GTAC-1", 1, 1, 1), ("TTTT-1", 1, 1, 3), ("GGGG-1", 0, 2, 0),
]  # fmt: skip
"""Barcode, in_tissue, array_row, array_col: four spots under tissue, one of them without counts, and one beside."""
FACTORS: dict[str, Any] = {
    "spot_diameter_fullres": 0.65 * PITCH,
    "tissue_hires_scalef": 0.25,
    "fiducial_diameter_fullres": PITCH,
    "tissue_lowres_scalef": 0.05,
}


def hex_rows(rows: Sequence[tuple[str, int, int, int]] = ROWS) -> list[tuple[Any, ...]]:
    """Rows with their pixels at full resolution: 1000 px in, neighbours ``PITCH`` apart."""
    return [(*row, 1000 + PITCH * np.sqrt(3) / 2 * row[2], 1000 + PITCH / 2 * row[3]) for row in rows]


def as_csv(rows: Sequence[tuple[Any, ...]], *, header: bool) -> str:
    lines = [",".join(map(str, row)) for row in rows]
    return "\n".join(([",".join(COLUMNS)] if header else []) + lines) + "\n"


def write_parquet(path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table({name: list(column) for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)}), path
    )


def write_spatial(
    folder: Path, *, positions: str = "tissue_positions_list.csv", factors: dict[str, Any] = FACTORS
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = as_csv(hex_rows(), header=positions == "tissue_positions.csv")
    (folder / positions).write_text(text, encoding="utf-8")
    (folder / "scalefactors_json.json").write_text(json.dumps(factors), encoding="utf-8")
    (folder / "tissue_hires_image.png").write_bytes(b"never opened by a reader")


def write_h5(
    path: Path,
    counts: Any = COUNTS,
    *,
    genes: Sequence[str] = GENES,
    ids: Sequence[str] = IDS,
    types: Sequence[str] | None = None,
    barcodes: Sequence[str] = BARCODES,
    version: int = 3,
    **replaced: Any,
) -> None:
    """A matrix of spots by genes in the 10x format; ``replaced`` are data sets written instead of the right ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = sparse.csr_matrix(counts)
    sets = {
        "barcodes": np.array(barcodes, dtype="S"),
        "data": matrix.data.astype(np.int32),
        "indices": matrix.indices.astype(np.int64),
        "indptr": matrix.indptr.astype(np.int64),
        "shape": np.array(matrix.shape[::-1], dtype=np.int32),
    }
    features = {
        "name": np.array(genes, dtype="S"),
        "id": np.array(ids, dtype="S"),
        "feature_type": np.array([GENE] * len(genes) if types is None else types, dtype="S"),
        "genome": np.array(["GRCh38"] * len(genes), dtype="S"),
    }
    legacy = {"gene_names": features["name"], "genes": features["id"]}
    sets |= {f"features/{name}": value for name, value in features.items()} if version == 3 else legacy
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name, value in {**sets, **replaced}.items():
            group.create_dataset(name, data=value, compression="gzip" if np.ndim(value) else None)


def mtx_text(counts: Any = COUNTS, field: str = "integer") -> str:
    genes = sparse.coo_matrix(np.asarray(counts).T)
    entries = [f"{row + 1} {col + 1} {value}" for row, col, value in zip(genes.row, genes.col, genes.data, strict=True)]
    head = [
        f"%%MatrixMarket matrix coordinate {field} general",
        "%metadata",
        f"{' '.join(map(str, genes.shape))} {genes.nnz}",
    ]
    return "\n".join([*head, *entries]) + "\n"


def write_trio(
    folder: Path, counts: Any = COUNTS, *, packed: bool, features: str = "features.tsv", n_columns: int = 3
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = [(GENES,), (IDS, GENES), (IDS, GENES, (GENE,) * len(GENES))][n_columns - 1]
    texts = {
        "matrix.mtx": mtx_text(counts),
        "barcodes.tsv": "".join(f"{barcode}\n" for barcode in BARCODES),
        features: "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)),
    }
    for name, text in texts.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (folder / name).write_text(text, encoding="utf-8")


def write_patients(folder: Path, **patients: str) -> None:
    rows = "".join(f"{section}\t{patient}\n" for section, patient in patients.items())
    (folder / "patients.tsv").write_text(f"section_id\tpatient_id\n{rows}", encoding="utf-8")


def write_bins(outs: Path, size: int, counts: Any, um_per_px: float = 0.25) -> list[str]:
    """Four bins of Visium HD under tissue, ``size`` micrometres wide, and one beside; gives their barcodes."""
    pitch = size / um_per_px
    places = [(1, row, col, pitch * row, pitch * col) for row in (3, 4) for col in (7, 8)]
    barcodes = [f"s_{size:03d}um_{row:05d}_{col:05d}-1" for _, row, col, _, _ in places]
    rows = [(name, *place) for name, place in zip(barcodes, places, strict=True)]
    write_parquet(outs / "spatial/tissue_positions.parquet", [*rows, ("s_off", 0, 0, 0, 0.0, 0.0)])
    factors = {
        "spot_diameter_fullres": pitch, "bin_size_um": float(size), "microns_per_pixel": um_per_px,
        "tissue_hires_scalef": 0.1, "regist_target_img_scalef": 0.2,
    }  # fmt: skip
    (outs / "spatial/scalefactors_json.json").write_text(json.dumps(factors), encoding="utf-8")
    (outs / "spatial/tissue_hires_image.png").write_bytes(b"never opened by a reader")
    write_h5(outs / "filtered_feature_bc_matrix.h5", counts, barcodes=barcodes)
    return barcodes
