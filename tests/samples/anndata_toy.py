"""Tiny AnnData objects of six spots and four genes, as files and stores, for tests to read and to damage."""

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

METADATA = {
    "id": "TENX1",
    "patient": "Patient 1",
    "dataset_title": "a study",
    "st_technology": "Visium",
    "inter_spot_dist": 100.0,
    "spot_diameter": 55.0,
    "pixel_size_um_embedded": 0.2645833,
    "pixel_size_um_estimated": 0.5,
}


class Toy:
    """Makes sound objects in ``folder``; tests change them before or after they are written."""

    genes = ("ERBB2", "ACTB", "KRT18", "GAPDH")
    spots = tuple(f"s{number}" for number in range(6))
    counts = np.array([[12, 0, 0, 1], [0, 7, 1, 0], [0, 0, 5, 0], [3, 3, 3, 3], [0, 0, 0, 9], [1, 0, 0, 0]])
    grid = np.array([[x, y] for y in (0, 1) for x in (0, 1, 2)], dtype=float)
    positions = 100.0 + 200.0 * grid  # pixels of the full-resolution image, 600 x 500: a pitch of 200
    hires = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def sample(self, x: Any = None, **obs: Any) -> ad.AnnData:
        """Counts in ``X`` as CSR, one patient, positions, and what scanpy writes for a Visium section."""
        frame = pd.DataFrame({"patient": ["P1"] * 6, **obs}, index=list(self.spots))
        matrix = sparse.csr_matrix(self.counts) if x is None else x
        data = ad.AnnData(matrix, obs=frame, var=pd.DataFrame(index=list(self.genes)))
        data.obsm["spatial"] = self.positions.copy()
        factors = {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 110.0}
        data.uns["spatial"] = {"lib": {"images": {"hires": self.hires}, "scalefactors": factors}}
        return data

    def write(self, data: ad.AnnData | None = None, name: str = "A1.h5ad") -> Path:
        """Write an object, by default a sound one."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.sample() if data is None else data).write_h5ad(path)
        return path

    def write_hest(
        self, name: str = "TENX1", data: ad.AnnData | None = None, *, slide: bool = True, **changes: Any
    ) -> None:
        """Write a sample of HEST-1k with its metadata, some of them changed, and a slide that is no image."""
        self.write(data, f"st/{name}.h5ad")
        metadata = self.folder / "metadata" / f"{name}.json"
        metadata.parent.mkdir(exist_ok=True)
        metadata.write_text(json.dumps({**METADATA, "id": name, **changes}))
        if slide:
            (self.folder / "wsis").mkdir(exist_ok=True)
            (self.folder / "wsis" / f"{name}.tif").write_bytes(b"never opened by a reader")
