"""A small lake in which methods compete: folds, models, scores, each with the provenance that the platform gives it."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from gr2st_assets.champion_records import Contender
from gr2st_assets.contenders import GENES, PANEL, SECTIONS, find_contenders
from gr2st_assets.evidence import NULLS
from gr2st_assets.lake import Lake
from gr2st_assets.models import settings_digest
from gr2st_assets.promotions import settle
from gr2st_assets.records import Head, Provenance
from gr2st_core.models.registry import METHODS, method
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import ServingSettings, Settings
from gr2st_core.training.checkpoint import save_state, state_digest
from gr2st_core.types import Counts, ImageSection, Panel, SectionKey, TrainSection

RIDGE, LOW_RANK, KNN = "ridge_m224", "low_rank_m224", "knn_m224"
VARIANT = {"panel": "fold_safe", "target": "per_spot", "seed": 0}
GENE_NAMES = ("g0", "g1", "g2")


def image(patient: str) -> ImageSection:
    """Twenty spots with features."""
    rng = np.random.default_rng(ord(patient))
    xy = np.stack(np.divmod(np.arange(20), 5), axis=1).astype(float)
    names = np.array([f"{x:.0f}x{y:.0f}" for x, y in xy])
    features = {name: rng.normal(size=(20, 4)).astype(np.float32) for name in METHODS[RIDGE].features}
    return ImageSection(SectionKey("c", f"{patient}1"), patient, names, xy, 100 * xy + 500, 2.0, 100.0, features)


def fit_ridge(patients: str, seed: int) -> Any:
    """Ridge as the registry builds it, fitted on sections of some patients with counts drawn by a seed."""
    rng = np.random.default_rng(seed)
    counts = [Counts(sparse.csr_matrix(rng.poisson(9, size=(20, 3))), GENE_NAMES) for _ in patients]
    sections = [TrainSection(image(patient), each) for patient, each in zip(patients, counts, strict=True)]
    request = FitRequest(sections, Panel("fold_safe", GENE_NAMES), "per_spot")
    return method(RIDGE).build(Settings()).fit(request)


class ChampionLake:
    """Cohort ``c`` with one section a patient; ``serving`` is the rule it is judged under."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.patients = "ABC"
        self.serving = ServingSettings(methods=(RIDGE, LOW_RANK, KNN))

    @property
    def settings(self) -> Settings:
        """Settings of all runs here."""
        return Settings(serving=self.serving)

    def put(self, table: str, rows: pd.DataFrame | pa.Table, *, fold: str = "", **facts: Any) -> Head:
        """Publish a table with the provenance given."""
        keys = {"cohort": "c", "fold": fold, **VARIANT} if fold else {}
        if table == PANEL:
            keys = {name: keys[name] for name in ("cohort", "fold", "panel")}
        write = facts.pop("write_files", None)
        blank = {"settings_hash": "", "code_version": "", "generation": "g", "inputs": {}, "metadata": {}}
        provenance = Provenance(**{"fingerprint": "f", "run_id": "r", "started": 0.0, **blank, **facts})
        data = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        return self.lake.write_table(self.lake.slot(table, **keys), data, provenance, write_files=write)

    def put_folds(self) -> None:
        """Publish the fold table (one fold a patient, and all) and the panel of the fit on everybody."""
        rows = [self._role(f"patient-{held}", held == p, p) for held in self.patients for p in self.patients]
        rows += [self._role("all", False, patient) for patient in self.patients]
        self.put("folds/fold_table", pd.DataFrame(rows))
        self.put(PANEL, pd.DataFrame({"gene": GENE_NAMES}), fold="all")

    def _role(self, fold: str, is_test: bool, patient: str) -> dict[str, Any]:
        unit = fold.partition("-")[0]
        identity = {"cohort": "c", "section_id": f"{patient}1", "patient_id": patient}
        return {"fold_id": f"c/{fold}", "split_unit": unit, **identity, "role": "test" if is_test else "train"}

    def put_method(self, name: str, generation: str = "g", *, seed: int = 0) -> None:
        """Publish a method's models and predictions of all folds; Ridge's fit on everybody is a real one."""
        spec = METHODS[name]
        facts = {"generation": generation, "settings_hash": settings_digest(spec, self.settings)}
        members = ",".join(f"c/{p}1={p}" for p in self.patients)
        fitted = fit_ridge(self.patients, seed).state() if name == RIDGE else None
        model_id = state_digest(fitted) if fitted else f"{name} {generation}"

        def write(folder: Path) -> None:
            if fitted:
                save_state(fitted, folder)

        rows = pa.table({"model": [f"{name} {generation}"]})
        metadata = {"model_id": model_id}
        self.put(
            f"models/model_{name}", rows, fold="all", inputs={"fold:train": members}, metadata=metadata,
            write_files=write, **facts,
        )  # fmt: skip
        for patient in self.patients:
            fold = f"patient-{patient}"
            model = self.put(f"models/model_{name}", rows, fold=fold, metadata={"model_id": f"{name} {fold}"}, **facts)
            self.put(f"predictions/predictions_{name}", rows, fold=fold, inputs={model.slot.table: model.digest})

    def put_scores(self, *, nulls: Sequence[str] = NULLS, **gains: float | Mapping[str, float]) -> None:
        """Publish scores of all folds: of each method 0.2 and its gain, in all patients or by patient; of nulls 0."""
        for patient in self.patients:
            fold = f"patient-{patient}"
            own = {name: gain[patient] if isinstance(gain, Mapping) else gain for name, gain in gains.items()}
            levels = {**dict.fromkeys(nulls, 0.0), **{name: 0.2 + gain for name, gain in own.items()}}
            identity = {"cohort": "c", "patient_id": patient, "section_id": f"{patient}1"}
            rows = [
                {**identity, "method": METHODS[name].method, "profile": METHODS[name].profile, "n_spots": 20,
                 "gene": gene, "pearson_zero_filled": level, "split_unit": "patient", "patient_in_training": False,
                 "model_id": f"{name} {fold}", "pearson_shuffled": 0.001}
                for name, level in levels.items() for gene in GENE_NAMES
            ]  # fmt: skip
            tables = [f"predictions/predictions_{name}" for name in gains]
            heads = {t: self.lake.require_head(self.lake.slot(t, cohort="c", fold=fold, **VARIANT)) for t in tables}
            inputs = {table: head.digest for table, head in heads.items()}
            frame = pd.DataFrame(rows)
            self.put(GENES, frame, fold=fold, inputs=inputs)
            self.put(SECTIONS, frame.drop_duplicates(["method", "profile"]), fold=fold, inputs=inputs)

    def contenders(self, *names: str) -> list[Contender]:
        """Contenders of these names in this order; of all, without a name."""
        found, _ = find_contenders(self.lake, self.settings, "auto")
        by_name = {each.name: each for each in found}
        return [by_name[name] for name in names or by_name]


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
