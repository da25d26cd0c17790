"""A method that reads pixels trains and predicts from the images of registered sections."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gr2st_assets import register
from gr2st_assets.assets import folds
from gr2st_assets.definitions import defs
from gr2st_assets.fingerprint import code_version
from gr2st_assets.inspection import inspect
from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.lake import Lake
from gr2st_assets.models import method_code
from gr2st_assets.records import Provenance
from gr2st_assets.resources import Experiment
from gr2st_assets.schema import conform
from gr2st_assets.section_images import query_section
from gr2st_assets.sections import counts as read_counts
from gr2st_assets.slide_files import SlidePredictor, SlideRequest
from gr2st_assets.slide_models import find_model
from gr2st_assets.slots import fold_slot
from gr2st_assets.steps import is_current, publish_plan
from gr2st_assets.tables import table_spec
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.errors import ImageError, SettingsError
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS, method
from gr2st_core.settings import Settings
from gr2st_core.training.checkpoint import load_state
from samples.small_lake import rows_of

NAME = "histogene_published_small"
MODEL, PREDICTIONS = f"models/model_{NAME}", f"predictions/predictions_{NAME}"
TINY = Settings().histogene_small.model_copy(update={"epochs": 1, "input_px": 16, "d_model": 32, "d_mlp": 32})
SETTINGS = Settings(histogene_small=TINY)
N_GENES = 20
SECTIONS = [SectionKey("tiny", name) for name in ("A1", "B1", "C1")]
BLIND = SECTIONS[-1]
FOLD = "tiny/patient-A"


def plan_of(lake, table, key, settings=SETTINGS):
    return BLUEPRINTS[table].open_plans(lake, Experiment(), settings, lambda _: lambda *_: None)(key)


def published(lake, table, key):
    """Publish a partition unless it is current; what came of it."""
    return publish_plan(lake, BLUEPRINTS[table].recipe(SETTINGS), key, plan_of(lake, table, key), "run")


def add(lake, folder):
    found = inspect(lake, "tiny", folder, SETTINGS, lambda *_: None, {})
    assert found.faults == []
    register.save(lake, found.cohort)


def make_sections(lake):
    for table in ("raw/slides", "raw/spots", "raw/counts", "cells/cell_types"):
        for key in SECTIONS:
            published(lake, table, str(key))


def write(lake, slot, rows):
    lake.write_table(slot, conform(table_spec(slot.table), rows), Provenance("mark", {}, "", "", "", "run", 0.0))


def panel_rows(lake):
    genes = read_counts(lake, SECTIONS[0], np.array(spots_of(lake, SECTIONS[0]))).genes[:N_GENES]
    return rows_of(table_spec("expression/panel"), N_GENES, fold_id=FOLD, gene=genes, position=range(N_GENES))


def spots_of(lake, key):
    return lake.read_table(plan_of(lake, "raw/spots", str(key)).slot)["spot_id"].to_pylist()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cohort of three patients, the last section without an image, and a model of one fold."""
    assert defs.resolve_all_asset_specs()  # the blueprints are those of the definitions
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR2ST_HOME", str(home))
        make_synthetic_cohort(home / "tiny", n_patients=3, sections_per_patient=1)
        shutil.rmtree(home / "tiny/data/ST-imgs/C")
        lake = Lake(home / "lake")
        add(lake, home / "tiny")
        make_sections(lake)
        write(lake, lake.slot(folds.NAME), folds._product(folds._folds(lake, SECTIONS, [])).table)
        write(lake, fold_slot(lake, "expression/panel", FOLD, Experiment().variant()), panel_rows(lake))
        for table in (MODEL, PREDICTIONS):
            assert not published(lake, table, FOLD).reused
        yield home, lake


@pytest.fixture
def again(made, tmp_path, monkeypatch):
    """A copy of it."""
    home, _ = made
    shutil.copytree(home, tmp_path / "home", ignore=shutil.ignore_patterns(".training"))
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path / "home"))
    lake = Lake(tmp_path / "home/lake")
    add(lake, tmp_path / "home/tiny")
    return lake, next((tmp_path / "home/tiny/data/ST-imgs").glob("B/*/*"))


def repaint(image):
    """Turn an image upside down: as many pixels, each spot another patch."""
    Image.fromarray(np.ascontiguousarray(np.asarray(Image.open(image))[::-1])).save(image)


def test_the_held_out_section_is_predicted_from_what_its_image_shows(made):
    _, lake = made
    rows = lake.read_table(plan_of(lake, PREDICTIONS, FOLD).slot).to_pandas()
    assert set(rows.section_id) == {"A1"}
    assert len(rows) == N_GENES * len(spots_of(lake, SECTIONS[0]))
    assert rows.groupby("gene", observed=True).predicted.std().min() > 0


def test_a_section_without_an_image_is_left_aside(made):
    _, lake = made
    with lake.local_copy(plan_of(lake, MODEL, FOLD).slot) as folder:
        assert load_state(folder).config["sections"] == ["tiny/B1"]
    assert query_section(lake, BLIND, method(NAME), SETTINGS.limits).patches is None


def test_a_slide_that_was_never_registered_is_predicted_from_its_pixels(made, tmp_path):
    home, lake = made
    identity = lake.require_head(plan_of(lake, MODEL, FOLD).slot).provenance.metadata["model_id"]
    predictor = SlidePredictor(lake, find_model(lake, identity, SETTINGS), SETTINGS)
    image = next((home / "tiny/data/ST-imgs").glob("A/*/*"))
    asked = SlideRequest(image, tmp_path, um_per_px=1.0)
    assert predictor.predict(asked, lambda *_: None)
    rows = pd.read_parquet(asked.folder / "predictions.parquet")
    assert rows.groupby("gene", observed=True).predicted.std().min() > 0
    assert not predictor.predict(asked, lambda *_: None)


def test_only_methods_that_read_pixels_are_given_them(made):
    _, lake = made
    sections = {name: query_section(lake, SECTIONS[0], method(name), SETTINGS.limits) for name in
                (NAME, "null_same_place")}  # fmt: skip
    assert sections[NAME].patches is not None
    assert sections["null_same_place"].patches is None


def test_another_image_of_a_training_section_trains_the_model_again(again):
    lake, image = again
    recipe = BLUEPRINTS[MODEL].recipe(SETTINGS)
    make_sections(lake)
    assert is_current(lake, recipe, plan_of(lake, MODEL, FOLD))
    before = lake.require_head(plan_of(lake, MODEL, FOLD).slot).digest
    repaint(image)
    add(lake, image.parents[4])
    make_sections(lake)
    assert not is_current(lake, recipe, plan_of(lake, MODEL, FOLD))
    assert published(lake, MODEL, FOLD).head.digest != before


def test_an_image_that_changed_since_its_section_was_made_is_not_trained_on(again):
    lake, image = again
    repaint(image)
    with pytest.raises(ImageError, match=r"not the one that the section was made from.*tiny/B1"):
        plan_of(lake, MODEL, FOLD).compute()


def test_other_bytes_in_the_file_of_starting_weights_train_the_model_again(made, tmp_path):
    _, lake = made
    file, plain = tmp_path / "weights.safetensors", Settings()

    def plan(name):
        settings = Settings(hggep_small=plain.hggep_small.model_copy(update={"image_weights": str(file)}))
        return plan_of(lake, f"models/model_{name}", FOLD, settings)

    file.write_bytes(b"one")
    before = plan("hggep_published_small")
    assert plan("hggep_published_small").inputs == before.inputs
    file.write_bytes(b"two")
    changed = plan("hggep_published_small")
    assert {name for name in changed.inputs if changed.inputs[name] != before.inputs[name]} == {"image_weights"}
    assert changed.generation != before.generation
    file.unlink()
    with pytest.raises(SettingsError, match=r"No such file.*weights\.safetensors.*hggep_small\.image_weights"):
        plan("hggep_published_small")


def test_how_images_are_read_counts_for_methods_that_read_pixels_alone():
    pixels, features = method_code(method(NAME)), method_code(method("histogene_features_small"))
    assert {"gr2st_core.images.patches", "gr2st_core.images.slides", "gr2st_core.containers.checksums"} <= set(pixels)
    assert not [name for name in features if name.startswith(("gr2st_core.images", "gr2st_assets.section_images"))]
    assert all(code_version(*method_code(spec)) for spec in METHODS.values())
