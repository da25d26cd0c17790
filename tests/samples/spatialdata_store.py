"""A tiny SpatialData store of six spots and four genes."""

from pathlib import Path

import numpy as np
import pandas as pd

COUNTS = np.arange(24, dtype=np.float32).reshape(6, 4)
GENES = ("ERBB2", "ACTB", "KRT18", "GAPDH")
SPOTS = tuple(f"s{number}" for number in range(6))


def write_store(path: Path) -> None:
    """Write a sound store."""
    import anndata as ad
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale, Sequence, Translation

    grid = np.array([[x, y] for y in (0, 1) for x in (0, 1, 2)], dtype=float)
    # The shapes live in pixels of the full resolution; the image shows a tenth of it, its origin moved by (20, 10).
    to_image = Sequence([Translation([-20.0, -10.0], axes=("x", "y")), Scale([0.1, 0.1], axes=("x", "y"))])
    shapes = ShapesModel.parse(
        100.0 + 200.0 * grid[::-1],
        geometry=0,
        radius=55.0,
        index=np.arange(10, 16)[::-1],
        transformations={"full": Identity(), "downscaled": to_image},
    )
    pixels = np.random.default_rng(0).integers(0, 256, (3, 50, 60), dtype=np.uint8)
    image = Image2DModel.parse(pixels, dims=("c", "y", "x"), transformations={"downscaled": Identity()})
    obs = pd.DataFrame(
        {
            "patient": "P1",
            "region": pd.Categorical(["spots"] * 6),
            "spot": np.arange(10, 16),
            "annotation": list("abcabc"),
        },
        index=list(SPOTS),
    )
    table = ad.AnnData(COUNTS, obs=obs, var=pd.DataFrame(index=list(GENES)))
    table = TableModel.parse(table, region="spots", region_key="region", instance_key="spot")
    SpatialData(images={"he": image}, shapes={"spots": shapes}, tables={"table": table}).write(path)
