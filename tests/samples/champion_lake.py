"""A small lake in which methods compete: folds, models, scores, each with the provenance that the platform gives it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from gr2st_assets.calibration_errors import OBSERVED
from gr2st_assets.champion_records import Contender
from gr2st_assets.champions import champions, history
from gr2st_assets.contenders import GENES, PANEL, SECTIONS, find_contenders
from gr2st_assets.drift_predictions import by_fit
from gr2st_assets.drift_sections import COLOURS, ENCODER
from gr2st_assets.evidence import NULLS
from gr2st_assets.lake import Lake
from gr2st_assets.models import settings_digest
from gr2st_assets.records import Head, Provenance
from gr2st_assets.resources import Experiment, LakeResource
from gr2st_assets.slots import section_slot
from gr2st_core.images.color_texture import NAMES
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS, method
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import ServingSettings, Settings
from gr2st_core.training.checkpoint import save_state, state_digest
from gr2st_core.types import Counts, ImageSection, Panel, TrainSection

RIDGE, LOW_RANK, KNN = "ridge_m224", "low_rank_m224", "knn_m224"
VARIANT = {"panel": "fold_safe", "target": "per_spot", "seed": 0}
GENE_NAMES = ("g0", "g1", "g2")
N_SPOTS = 30
ERRORS = (0.1, -0.2, 0.3)
"""What measurements are above the predictions of `Sections`, gene by gene."""


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
        if table == OBSERVED:
            del keys["seed"]
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
        panel = pd.DataFrame({"panel": VARIANT["panel"], "position": range(len(GENE_NAMES)), "gene": GENE_NAMES})
        self.put(PANEL, panel, fold="all")

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


class Sections:
    """Puts what drift reads of sections into the lake of a champion."""

    def __init__(self, world: ChampionLake) -> None:
        self.world, self.lake = world, world.lake

    def put(self, key: str, *, far: float = 0.0, depth: float = 1000.0, pink: float = 0.0, image: bool = True) -> None:
        """One section; ``far``, ``depth`` and ``pink`` move its features, counts and eosin. Depth 0: no counts."""
        section = SectionKey.parse(key)
        rng = np.random.default_rng([ord(letter) for letter in key])
        spots = [f"s{i:02d}" for i in range(N_SPOTS)]
        where = {"cohort": section.cohort, "section_id": section.section_id}
        slide = {"patient_id": section.section_id[0], "image_path": "a.png" if image else None}
        self._write(
            "raw/slides",
            section,
            pd.DataFrame([{**where, **slide, "um_per_px": 1.0, "pitch_px": 10.0, "pitch_um": 10.0}]),
        )
        totals = (depth * rng.uniform(0.8, 1.25, N_SPOTS)).astype(int)
        places = {name: np.arange(N_SPOTS) * 1.0 for name in ("array_col", "array_row", "pixel_x", "pixel_y")}
        table = pd.DataFrame({**where, "spot_id": spots, **places, "total_count": totals, "has_counts": depth > 0})
        self._write("raw/spots", section, table)
        if image:
            features = rng.normal(size=(N_SPOTS, 4)) + far
            colours = np.full((N_SPOTS, len(NAMES)), 0.3)
            colours[:, NAMES.index("eosin_mean")] += pink + 0.01 * rng.normal(size=N_SPOTS)
            for name, values in ((ENCODER, features), (COLOURS, colours)):
                rows = pa.array(values.astype(np.float32).tolist(), pa.list_(pa.float32()))
                self._write(f"image/embeddings_{name}", section, pa.table({"spot_id": spots, "embedding": rows}))

    def put_predictions(self, name: str = RIDGE) -> None:
        """Out-of-fold predictions of a method, the champion's own recipe: like those of its fit for ``d/L1``."""
        like = by_fit(self.lake, champions(history(self.lake))["c"].contender)(SectionKey("d", "L1"))
        table, keys = f"models/model_{name}", {"panel": "fold_safe", "target": "per_spot", "seed": 0}
        for patient in self.world.patients:
            values = np.random.default_rng(ord(patient)).normal(like.mean, like.spread, (N_SPOTS, len(like.genes)))
            spots = np.repeat([f"s{i:02d}" for i in range(N_SPOTS)], len(like.genes))
            identity = {"cohort": "c", "section_id": f"{patient}1", "spot_id": spots, "model_id": f"{name} {patient}"}
            identity["gene"] = np.tile(like.genes, N_SPOTS)
            frame = pd.DataFrame({**identity, "predicted": values.ravel().astype(np.float32)})
            fold = f"patient-{patient}"
            measured = frame.rename(columns={"predicted": "observed"})
            measured["observed"] += np.tile(ERRORS, len(frame) // len(ERRORS)).astype(np.float32)
            self.world.put(OBSERVED, measured, fold=fold)
            model = self.lake.require_head(self.lake.slot(table, cohort="c", fold=fold, **keys))
            self.world.put(f"predictions/predictions_{name}", frame, fold=fold, inputs={table: model.digest})

    def _write(self, table: str, key: SectionKey, rows: pd.DataFrame | pa.Table) -> None:
        data = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        provenance = Provenance("f", {}, "", "", "", "run", 0.0, {})
        self.lake.write_table(section_slot(self.lake, table, key), data, provenance)

    def rows(self, table: str) -> pd.DataFrame:
        """Rows of a table without partitions."""
        return self.lake.read_table(self.lake.slot(table)).to_pandas()

    def run(self, *assets: dg.AssetsDefinition, **options: Any) -> dg.ExecuteInProcessResult:
        """Materialize assets in this process."""
        resources = {"lake": LakeResource(root=str(self.lake.root)), "experiment": Experiment()}
        with_instance = {"instance": dg.DagsterInstance.ephemeral(), **options}
        return dg.materialize(list(assets), resources=resources, **with_instance)
