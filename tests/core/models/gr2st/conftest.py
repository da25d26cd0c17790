"""A GR2ST small enough to train in a test, and one trained model shared by tests that only read it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from gr2st_core.cells.classes import CLASSES
from gr2st_core.models.gr2st.fitted import FittedGr2st
from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.settings import Gr2stSettings
from gr2st_core.types import CellTypes, TrainSection

TINY = Gr2stSettings(
    d_embedding=16, n_heads=2, n_positions=12, top_ks=(10, 20), epochs=6, patience=6, learning_rate=3e-3, max_pcs=6
)


def with_types(section: TrainSection) -> TrainSection:
    """Give a section cell types that follow its first feature; the last spot's are unknown."""
    leaning = next(iter(section.image.features.values()))[:, :1] * np.linspace(-1, 1, len(CLASSES))
    shares = np.exp(leaning) / np.exp(leaning).sum(axis=1, keepdims=True)
    shares[-1] = np.nan
    return dataclasses.replace(section, cell_types=CellTypes(CLASSES, shares, "expression", "test"))


@pytest.fixture
def typed_section(planted_section) -> Callable[..., TrainSection]:
    """Builder of sections with cell types."""
    return lambda *args, **options: with_types(planted_section(*args, **options))


@pytest.fixture
def tiny() -> Gr2stPredictor:
    """An unfitted, tiny GR2ST."""
    return Gr2stPredictor(("tiny",), TINY)


@pytest.fixture
def fitted(tiny, typed_section, planted_request) -> FittedGr2st:
    """A tiny GR2ST trained on three sections of two patients."""
    return tiny.fit(planted_request(*map(typed_section, ("A1", "A2", "B1"))))
