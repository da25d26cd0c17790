"""Both published states, small enough to train in a test."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from gr2st_core.cells.classes import CLASSES
from gr2st_core.models.gr2st_published.fitted import FittedPublished
from gr2st_core.models.gr2st_published.learner import PublishedLearner
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.types import CellTypes, TrainSection

SMALL = {"d_embedding": 16, "n_heads": 2, "n_positions": 12, "top_k": 20, "epochs": 6, "learning_rate": 3e-3}
TINY = {
    "r1": Gr2stR1Settings(**SMALL),
    "r2": Gr2stR2Settings(**SMALL, d_gate=8, late_epoch=4),
}


def with_types(section: TrainSection) -> TrainSection:
    """Give a section cell types that follow the rank of its first feature; the last spot's are unknown."""
    first = next(iter(section.image.features.values()))[:, :1]
    level = 5 * (first > first.T).mean(axis=1, keepdims=True)
    shares = np.exp(-np.square(2 * (level - np.arange(len(CLASSES)))))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[-1] = np.nan
    return dataclasses.replace(section, cell_types=CellTypes(CLASSES, shares, "expression", "test"))


@pytest.fixture
def typed_section(planted_section) -> Callable[..., TrainSection]:
    """Builder of sections with cell types."""
    return lambda *args, **options: with_types(planted_section(*args, **options))


@pytest.fixture(params=["r1", "r2"])
def profile(request) -> str:
    """Each published state in turn."""
    return request.param


@pytest.fixture
def tiny(profile) -> PublishedPredictor:
    """An unfitted, tiny model."""
    return PublishedPredictor(("tiny",), TINY[profile])


@pytest.fixture
def job(typed_section, planted_request):
    """Training on three sections of two patients."""
    return planted_request(*map(typed_section, ("A1", "A2", "B1")))


@pytest.fixture
def fitted(tiny, job) -> FittedPublished:
    """A tiny model trained on ``job``."""
    return tiny.fit(job)


@pytest.fixture
def make_learner(planted_panel) -> Callable[..., PublishedLearner]:
    """Builder of learners on given sections."""

    def build(profile: str, *sections: TrainSection, **changes: object) -> PublishedLearner:
        settings = TINY[profile].model_copy(update=changes)
        return PublishedLearner(
            sections, panel=planted_panel, seed=0, features=("tiny",), settings=settings, device=torch.device("cpu")
        )

    return build
