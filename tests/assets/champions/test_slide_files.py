"""Slides that were never registered: predicted by a champion or any model, in files, again only if changed."""

import json
import shutil
from dataclasses import replace

import dask
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gr2st_assets import slide_files
from gr2st_assets.champions import champions, history
from gr2st_assets.models import load_champion
from gr2st_assets.publish import TEMPORARY
from gr2st_assets.slide_files import SlidePredictor, SlideRequest
from gr2st_assets.slide_journeys import predict_slides
from gr2st_assets.slide_models import find_model
from gr2st_core.errors import MissingArtifactError, SchemaError, SettingsError
from gr2st_core.images import encoders
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS
from gr2st_core.settings import Settings
from gr2st_core.types import ImageSection
from samples.champion_lake import GENE_NAMES, RIDGE
from samples.crashes import is_killed

UM_PER_PX = 2.0
FORMS = ("predictions.parquet", "spots.parquet", "new_slide.h5ad", "new_slide.zarr", "new_slide.geojson", "gr2st.json")


def mean_colours(patches):
    """As wide as the features that the small lake's models were trained on."""
    means = patches.reshape(len(patches), -1, 3).mean(axis=1) / 128 - 1
    return np.c_[means, means.mean(axis=1)].astype(np.float32)


@pytest.fixture(autouse=True)
def _small_encoder(monkeypatch):
    known = encoders.encoder_spec(METHODS[RIDGE].features[0])
    small = replace(known, width=4, build=lambda _: mean_colours)
    monkeypatch.setattr(encoders, "encoder_spec", lambda _: small)


@pytest.fixture
def _no_threads():
    """Write stores on the calling thread: a forked process has none of the others."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def slide(tmp_path):
    """Tissue of many colours on glass, 800 um wide."""
    pixels = np.full((400, 400, 3), 245, np.uint8)
    pixels[60:340, 60:340] = np.random.default_rng(0).integers(60, 230, (280, 280, 3))
    path = tmp_path / "new slide.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def predictor(sections):
    return SlidePredictor(sections.lake, find_model(sections.lake, "", Settings()), Settings())


def request(slide, **options):
    return SlideRequest(slide, slide.parent / "out", um_per_px=UM_PER_PX, **{"pitch_um": 100.0, **options})


def silent(*_):
    pass


def test_a_slide_is_predicted_by_the_champion_and_written_in_every_form(sections, predictor, slide):
    asked = request(slide)
    assert predictor.predict(asked, silent)
    assert sorted(path.name for path in asked.folder.iterdir()) == sorted(FORMS)
    spots, values = (pd.read_parquet(asked.folder / f"{name}.parquet") for name in ("spots", "predictions"))
    pixels = np.asarray(Image.open(slide))
    side = round(154.0 / UM_PER_PX)
    starts = np.rint(spots[["pixel_x", "pixel_y"]].to_numpy()).astype(int) - side // 2
    padded = np.pad(pixels, ((100, 100), (100, 100), (0, 0)), mode="edge")
    features = np.concatenate(
        [mean_colours(np.asarray(Image.fromarray(padded[y + 100 : y + 100 + side, x + 100 : x + 100 + side]).resize(
            (224, 224), Image.Resampling.BICUBIC))[None]) for x, y in starts]
    )  # fmt: skip
    xy = spots[["pixel_x", "pixel_y"]].to_numpy()
    image = ImageSection(
        SectionKey("slides", "new_slide"), "p", spots.spot_id.to_numpy(dtype=np.str_), xy / 50, xy, UM_PER_PX, 50.0,
        {METHODS[RIDGE].features[0]: features},
    )  # fmt: skip
    expected = load_champion(sections.lake, champions(history(sections.lake))["c"].contender).predict(image)
    found = values.pivot(index="spot_id", columns="gene", values="predicted")
    np.testing.assert_allclose(found.loc[image.spot_ids, list(GENE_NAMES)], expected.values, rtol=1e-5)
    assert spots.ood_distance.notna().all()
    assert spots.reference_spots.str.len().min() > 0
    assert all(name.startswith("c/") for name in spots.reference_spots.iloc[0])


def test_what_is_there_is_left_alone_until_the_slide_or_the_request_changes(predictor, slide):
    asked = request(slide)
    assert predictor.predict(asked, silent)
    before = (asked.folder / "predictions.parquet").read_bytes()
    assert not predictor.predict(asked, silent)
    assert predictor.predict(request(slide, pitch_um=80.0), silent)
    assert predictor.predict(asked, silent)
    assert (asked.folder / "predictions.parquet").read_bytes() == before
    Image.fromarray(np.asarray(Image.open(slide))[:, ::-1]).save(slide)
    assert predictor.predict(asked, silent)
    assert (asked.folder / "predictions.parquet").read_bytes() != before


def test_an_interrupted_slide_keeps_its_features_and_is_not_called_done(predictor, slide):
    def interrupt(label, *_):
        if label == "predicting":
            raise KeyboardInterrupt

    asked = request(slide)
    with pytest.raises(KeyboardInterrupt):
        predictor.predict(asked, interrupt)
    assert not (asked.folder / "gr2st.json").exists()
    steps = []
    assert predictor.predict(asked, lambda *step: steps.append(step))
    (first, *_), n_spots = steps, steps[0][2]
    assert first == ("spots", n_spots, n_spots)


@pytest.mark.usefixtures("_no_threads")
def test_a_slide_killed_anywhere_is_done_or_not_and_the_next_ends_in_the_same_bytes(predictor, slide):
    def contents(folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    asked = request(slide)
    assert predictor.predict(asked, silent)
    undisturbed = contents(asked.folder)
    for point in slide_files.CRASH_POINTS:
        shutil.rmtree(asked.folder)
        asked.folder.mkdir()
        (asked.folder / slide_files.DONE).write_text("{}")  # of what was made from something else
        assert is_killed(point, lambda: predictor.predict(asked, silent)), point
        half = asked.folder / f"{TEMPORARY}half"  # of one that was killed in the middle of a file
        half.mkdir()
        (half / "predictions.parquet").write_bytes(b"PAR1")
        left = contents(asked.folder)
        assert left.get(slide_files.DONE) == (undisturbed[slide_files.DONE] if point == "slide.marked" else None)
        assert predictor.predict(asked, silent) == (point != "slide.marked")
        assert contents(asked.folder) == undisturbed, point


def test_given_spots_are_used_as_they_are(predictor, slide):
    table = slide.parent / "given.spots.csv"
    table.write_text("spot_id,pixel_x,pixel_y\nfirst,150,150\nsecond,250,150\n")
    asked = request(slide, spots=table, pitch_um=None)
    assert predictor.predict(asked, silent)
    spots = pd.read_parquet(asked.folder / "spots.parquet")
    assert spots[["spot_id", "pixel_x", "pixel_y"]].values.tolist() == [["first", 150, 150], ["second", 250, 150]]
    facts = json.loads((asked.folder / "gr2st.json").read_text())
    assert facts["pitch_um"] == pytest.approx(200)


def test_a_slide_that_says_no_scale_is_refused_and_the_others_go_on(sections, slide, monkeypatch):
    monkeypatch.setenv("GR2ST_LAKE", str(sections.lake.root))
    other = slide.parent / "scaled.tif"
    Image.open(slide).save(other, resolution=1e4 / UM_PER_PX, resolution_unit=3)
    said = []
    code = predict_slides([slide, other], slide.parent / "out", "", None, None, 100.0, None, said.append)
    assert code == 1
    assert any("fault" in line and "um_per_px" in line for line in said)
    assert (slide.parent / "out" / "scaled" / "gr2st.json").exists()
    assert not (slide.parent / "out" / "new_slide").exists()


def test_the_fault_of_a_slide_names_it_and_what_to_do(predictor, slide):
    with pytest.raises(SchemaError) as caught:
        predictor.predict(SlideRequest(slide, slide.parent), silent)
    assert caught.value.context["file"] == slide
    assert caught.value.context["field"] == "um_per_px"
    assert "--um-per-px" in caught.value.context["hint"]


def test_models_are_found_by_cohort_by_id_and_never_by_guess(sections):
    lake, settings = sections.lake, Settings()
    model_id = champions(history(lake))["c"].contender.model_id
    for wanted in ("", "c", model_id, model_id[:8]):
        assert find_model(lake, wanted, settings).model_id == model_id
    for wanted in ("nobody", model_id[:3]):
        with pytest.raises(MissingArtifactError) as caught:
            find_model(lake, wanted, settings)
        assert caught.value.context["found"] == wanted


def test_without_a_champion_a_slide_needs_a_models_id(world):
    with pytest.raises(MissingArtifactError):
        find_model(world.lake, "", Settings())


def test_two_slides_of_one_name_are_refused(sections, slide, monkeypatch):
    monkeypatch.setenv("GR2ST_LAKE", str(sections.lake.root))
    twin = slide.parent / "new_slide.tif"
    with pytest.raises(SettingsError) as caught:
        predict_slides([slide, twin], slide.parent / "out", "", None, None, None, None, print)
    assert caught.value.context["found"] == ["new_slide"]
