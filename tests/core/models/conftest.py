"""Small sections with a known link from features to counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.keys import SectionKey, Target
from gr2st_core.predictor import FitRequest
from gr2st_core.types import Counts, ImageSection, Panel, TrainSection

PLANTED_GENES = tuple(f"g{k}" for k in range(12))

MakeSection = Callable[..., TrainSection]
MakeRequest = Callable[..., FitRequest]


def build_planted_section(
    name: str,
    n_spots: int = 48,
    *,
    cohort: str = "toy",
    encoders: tuple[str, ...] = ("tiny",),
    shift: tuple[float, float] = (0.0, 0.0),
) -> TrainSection:
    """Build a section named like ``B4``: tissue scores, noisy features of them, counts drawn from them.

    The scores are waves over rows and columns; ``shift`` says by how many radians each is moved.
    """
    rng = np.random.default_rng([ord(letter) for letter in name])
    rows, columns = np.divmod(np.arange(n_spots), 8)
    waves = np.sin(rows / 2 + ord(name[0]) + shift[0]), np.cos(columns / 2 + shift[1])
    tissue = np.stack(waves, axis=1)
    tissue += 0.3 * rng.normal(size=(n_spots, 2))
    link = np.random.default_rng(7)
    loadings, mixing = link.choice([-1.0, 1.0], size=(2, len(PLANTED_GENES))), link.normal(size=(2, 10))
    features = tissue @ mixing + 0.3 * rng.normal(size=(n_spots, 10))
    counts = rng.poisson(np.exp(2.5 + 0.4 * tissue @ loadings))
    grid = np.stack([columns, rows], axis=1).astype(float)
    image = ImageSection(
        key=SectionKey(cohort, name),
        patient_id=name[0],
        spot_ids=np.array([f"{x:.0f}x{y:.0f}" for x, y in grid]),
        array_xy=grid,
        pixel_xy=100 * grid + 500,
        um_per_px=2.0,
        pitch_px=100.0,
        features={encoder: features.astype(np.float32) for encoder in encoders},
    )
    return TrainSection(image, Counts(sparse.csr_matrix(counts), PLANTED_GENES))


@pytest.fixture
def planted_panel() -> Panel:
    """Twelve genes, each driven by one of two hidden tissue scores."""
    return Panel("planted", PLANTED_GENES)


@pytest.fixture
def planted_section() -> MakeSection:
    """Builder of sections, see `build_planted_section`."""
    return build_planted_section


@pytest.fixture
def planted_request(planted_section: MakeSection, planted_panel: Panel) -> MakeRequest:
    """Training job on the named sections, or on the sections given."""

    def build(*sections: str | TrainSection, target: Target = "per_spot", **options: object) -> FitRequest:
        built = [planted_section(s) if isinstance(s, str) else s for s in sections]
        return FitRequest(built, planted_panel, target, **options)  # type: ignore[arg-type]

    return build
