"""Small lakes with and without a champion."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gr2st_assets.lake import Lake
from gr2st_assets.promotions import settle
from gr2st_core.types import ImageSection
from samples.champion_lake import LOW_RANK, RIDGE, ChampionLake, Sections, image


def _world(lake: Lake) -> ChampionLake:
    made = ChampionLake(lake)
    made.put_folds()
    made.put_method(RIDGE)
    made.put_scores(**{RIDGE: 0.0})
    return made


def _served(lake: Lake) -> ChampionLake:
    made = _world(lake)
    settle(made.lake, made.contenders(), made.serving)
    made.put_method(LOW_RANK)
    made.put_scores(**{RIDGE: 0.0, LOW_RANK: 0.05})
    return made


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Lake], object]], Path]:
    """Make each kind of lake once, to be copied."""
    made: dict[Callable[[Lake], object], Path] = {}

    def template(make: Callable[[Lake], object]) -> Path:
        if make not in made:
            made[make] = tmp_path_factory.mktemp("lake") / "lake"
            make(Lake(made[make]))
        return made[make]

    return template


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills are tested here, power cuts are not: waiting for the disk would be most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def empty_world(tmp_path: Path) -> ChampionLake:
    """Give a lake without anything."""
    return ChampionLake(Lake(tmp_path / "lake"))


@pytest.fixture
def world(empty_world: ChampionLake, _templates: Any) -> ChampionLake:
    """Give a lake in which ridge alone was made and scored."""
    shutil.copytree(_templates(_world), empty_world.lake.root.path)
    return empty_world


@pytest.fixture
def served(empty_world: ChampionLake, _templates: Any) -> ChampionLake:
    """Give the same with ridge promoted, and a better method made since."""
    shutil.copytree(_templates(_served), empty_world.lake.root.path)
    return empty_world


@pytest.fixture(scope="session")
def query() -> ImageSection:
    """Give a section that no model has seen."""
    return image("Q")


@pytest.fixture
def sections(world: ChampionLake) -> Sections:
    """A served champion with three training sections of a patient each, and one new section like them."""
    settle(world.lake, world.contenders(), world.serving)
    made = Sections(world)
    for name, depth in {"c/A1": 900, "c/B1": 1100, "c/C1": 1000, "d/L1": 1000}.items():
        made.put(name, depth=depth)
    made.put_predictions()
    return made
