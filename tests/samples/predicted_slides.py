"""A tiny predicted slide: 30 spots, 5 genes, an image of 300 x 300 pixels."""

from typing import Any

import numpy as np

from gr2st_core.exports.predicted_slide import IntervalEnds, PredictedSlide, Thumbnail
from gr2st_core.keys import SectionKey
from gr2st_core.types import ImageSection, Prediction

HOSTILE = '<img src=x onerror=alert(1)>"\\\u2028'
GENES = ("ERBB2", "ACTB", "KRT18", HOSTILE, "HLA-A")
SUPPORT = ("patient", "patient", "spot-level, same patients", "patient", "none")
KEY = SectionKey("demo", "A1")
_SIZE_PX = 1200  # of the slide; its thumbnail is a quarter of it


def section(n_columns: int = 6, n_rows: int = 5) -> ImageSection:
    """Spots on a square grid of 150 px, not in the order of their positions."""
    grid = np.array([[x, y] for y in range(n_rows) for x in range(n_columns)], dtype=float)
    grid = grid[np.random.default_rng(1).permutation(len(grid))]
    return ImageSection(
        key=KEY,
        patient_id="P1",
        spot_ids=np.array([f"{x:.0f}x{y:.0f}" for x, y in grid]),
        array_xy=grid,
        pixel_xy=200.0 + 150.0 * grid + np.array([0.25, -40.0]),
        um_per_px=0.5,
        pitch_px=150.0,
    )


def picture(n_px: int = _SIZE_PX // 4) -> np.ndarray:
    """An image that is the same under no turn or flip."""
    rows, columns = np.mgrid[:n_px, :n_px]
    red, green = rows * 255 // n_px, columns * 255 // n_px
    return np.stack([red, green, (red * 3 + green) // 4], axis=2).astype(np.uint8)


def predicted_slide(**changes: Any) -> PredictedSlide:
    """Everything known of every spot, but one gene without an interval and spots without a region."""
    spots = changes.pop("section", section())
    genes = changes.pop("genes", GENES)
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 0.5, (spots.n_spots, len(genes))).astype(np.float32)
    half = (0.1 + 0.2 * values).astype(np.float32)
    half[:, -1] = np.nan
    nearest = rng.integers(0, 99, (spots.n_spots, 3)).astype(str)
    facts = {
        "prediction": Prediction(spots.key, spots.spot_ids, tuple(genes), values),
        "spot_diameter_um": 50.0,
        "provenance": {"model_id": "0123abcd", "target": "cp10k", "encoders": {"efficientnet": "Apache-2.0"}},
        "intervals": IntervalEnds(np.maximum(values - half, 0), values + half, 0.9, SUPPORT),
        "ood_distance": rng.gamma(3.0, 1.0, spots.n_spots),
        "ood_quantile": np.linspace(0.0, 1.0, spots.n_spots),
        "is_unusual": np.linspace(0.0, 1.0, spots.n_spots) > 0.95,
        "reference_spots": np.char.add("demo/B1/", nearest),
        "regions": np.where(np.arange(spots.n_spots) % 3 == 0, "", "tumour"),
        "thumbnail": Thumbnail(picture(), 0.25),
    }
    return PredictedSlide(section=spots, **{**facts, **changes})


def bare_slide() -> PredictedSlide:
    """Only what every slide has."""
    optional = ("intervals", "ood_distance", "ood_quantile", "is_unusual", "reference_spots", "regions", "thumbnail")
    return predicted_slide(**dict.fromkeys(optional))
