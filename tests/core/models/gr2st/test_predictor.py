"""GR2ST as a method: what it learns, what it refuses, what it stores."""

import dataclasses
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gr2st_core.errors import CheckpointError, LeakageError, MissingArtifactError, NonFiniteError
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.graphs import functional
from gr2st_core.models.gr2st import predictor as predictor_module
from gr2st_core.models.gr2st.fitted import functional_edges
from gr2st_core.models.gr2st.mixing import Mix
from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.training.checkpoint import load_state, save_state, state_digest
from gr2st_core.training.folds import inner_splits, middle_split
from gr2st_core.training.loop import SCORE

NAMES = ("A1", "A2", "B1")


def test_a_planted_link_is_learned_and_shuffled_features_show_none(tiny, typed_section, planted_request, planted_panel):
    predictor = Gr2stPredictor(("tiny",), tiny.settings.model_copy(update={"epochs": 40, "patience": 40}))
    fitted = predictor.fit(planted_request(*map(typed_section, NAMES)))
    query = typed_section("B2", n_spots=80)
    truth = to_target(query.counts, planted_panel, "per_spot")
    order = np.random.default_rng(0).permutation(80)
    shuffled = dataclasses.replace(query.image, features={"tiny": query.image.features["tiny"][order]})
    true_score, false_score = (
        float(np.mean(pearson_per_gene(truth, fitted.predict(image).values))) for image in (query.image, shuffled)
    )
    assert true_score > 0.5
    assert abs(false_score) < 0.2


def test_prediction_is_the_stated_mix_of_its_components_in_order(fitted, typed_section):
    image = typed_section("B2").image
    prediction = fitted.predict(image)
    weight = prediction.weight
    mixed = weight * prediction.components["retrieval"] + (1 - weight) * prediction.components["regression"]
    assert weight == fitted.config["choice"]["retrieval_weight"] in fitted.settings.retrieval_weights
    assert np.allclose(prediction.values, mixed, atol=1e-6)
    assert prediction.values.dtype == np.float32
    assert prediction.spot_ids.tolist() == image.spot_ids.tolist()
    assert prediction.genes == fitted.panel.genes


@pytest.mark.parametrize(("weight", "component"), [(1.0, "retrieval"), (0.0, "regression")])
def test_a_weight_of_one_or_zero_gives_a_component_exactly(fitted, typed_section, weight, component):
    prediction = dataclasses.replace(fitted, mix=Mix(weight, 20)).predict(typed_section("B2").image)
    assert np.array_equal(prediction.values, prediction.components[component])


def test_permuted_spots_have_permuted_predictions(fitted, typed_section):
    image = typed_section("B2").image
    order = np.random.default_rng(0).permutation(image.n_spots)
    assert np.allclose(fitted.predict(image.rows(order)).values, fitted.predict(image).values[order], atol=1e-5)


def test_an_isolated_spot_is_predicted_like_any_other(fitted, typed_section):
    alone = fitted.predict(typed_section("B2").image.rows(np.array([5])))
    assert alone.values.shape == (1, 12)
    assert np.isfinite(alone.values).all()


def test_cell_types_are_not_needed_to_predict(fitted, typed_section, planted_section):
    with_types, without = typed_section("B2").image, planted_section("B2").image
    assert np.array_equal(fitted.predict(with_types).values, fitted.predict(without).values)


def test_counts_cannot_reach_a_prediction(fitted, typed_section):
    with pytest.raises(LeakageError, match="ImageSection"):
        fitted.predict(typed_section("B2"))
    with pytest.raises(LeakageError) as caught:
        fitted.predict(typed_section("A1").image)
    assert caught.value.context["section"] == ["toy/A1"]


def test_missing_features_are_an_error_not_a_zero(fitted, typed_section):
    with pytest.raises(MissingArtifactError) as caught:
        fitted.predict(dataclasses.replace(typed_section("B2").image, features={"other": np.ones((48, 10), "float32")}))
    assert caught.value.context["encoder"] == ["tiny"]


def test_sections_without_an_image_change_nothing(tiny, fitted, typed_section, planted_request):
    section = typed_section("C1")
    counts_only = dataclasses.replace(section, image=dataclasses.replace(section.image, features={}))
    refitted = tiny.fit(planted_request(*map(typed_section, NAMES), counts_only))
    assert state_digest(refitted.state()) == state_digest(fitted.state())


def test_the_account_of_the_fit_is_complete(fitted, typed_section):
    inner = fitted.config["inner"]
    curve = fitted.history.query("stage == 'inner' and term == @SCORE")["value"].tolist()
    assert SCORE == "inner_pcc"
    assert inner["unit"] == "patient"
    assert (inner["train"], inner["validation"]) == (["toy/A1", "toy/A2"], ["toy/B1"])
    assert inner["curve"] == curve
    assert inner["chosen_epoch"] == 1 + int(np.argmax(curve))
    assert fitted.config["n_steps"] == 3 * inner["chosen_epoch"]
    assert inner["candidates"] == {"retrieval_weight": list(fitted.settings.retrieval_weights), "top_k": [10, 20]}
    assert fitted.config["choice"] == inner["curve_mix"][inner["chosen_epoch"] - 1] == fitted.mix.as_config()
    refit = fitted.history.query("stage == 'refit'")
    assert refit["epoch"].max() == inner["chosen_epoch"]
    assert set(refit["term"]) == {"total", "contrastive", "contrastive_chance", "mse", "gate", "attention"}
    assert np.allclose(refit.query("term == 'contrastive_chance'")["value"], np.log(48))


def test_the_optimiser_takes_one_step_per_section_and_epoch(tiny, typed_section, planted_request, tmp_path):
    from gr2st_core.training.checkpoint import load_snapshot

    request = dataclasses.replace(planted_request(*map(typed_section, NAMES)), workdir=tmp_path)
    fitted = tiny.fit(request)
    tensors, _ = load_snapshot(tmp_path / "refit.safetensors")
    assert {float(t) for name, t in tensors.items() if name.endswith(".step")} == {fitted.config["n_steps"]}


def test_the_middle_split_holds_out_neither_the_fewest_nor_the_most_spots(typed_section):
    sections = [typed_section("A1", n_spots=24), typed_section("B1", n_spots=80), typed_section("C1", n_spots=48)]
    held = middle_split(inner_splits(sections)).validation
    assert [str(section.key) for section in held] == ["toy/C1"]


@pytest.mark.parametrize(("names", "unit"), [(("A1", "A2"), "section"), (("A1",), "quadrant")])
def test_one_patient_or_one_section_still_chooses_its_epochs_inside(tiny, typed_section, planted_request, names, unit):
    fitted = tiny.fit(planted_request(*map(typed_section, names)))
    assert fitted.config["inner"]["unit"] == unit
    assert np.isfinite(fitted.predict(typed_section("B2").image).values).all()


def test_a_stored_model_predicts_the_same_bits(tiny, fitted, typed_section, tmp_path):
    image = typed_section("B2").image
    save_state(fitted.state(), tmp_path)
    loaded = tiny.load(load_state(tmp_path))
    assert state_digest(loaded.state()) == state_digest(fitted.state())
    first, second = fitted.predict(image), loaded.predict(image)
    assert np.array_equal(first.values, second.values)
    assert all(np.array_equal(first.components[name], second.components[name]) for name in first.components)


def test_nothing_in_the_weights_grows_with_the_training_spots(tiny, fitted, typed_section, planted_request):
    larger = tiny.fit(planted_request(*(typed_section(name, n_spots=80) for name in NAMES)))
    shapes = [{name: array.shape for name, array in model.state().weights.items()} for model in (fitted, larger)]
    assert shapes[0] == shapes[1]
    assert len(larger.state().bank["expression"]) == 240


def _changed(state, part, name, array):
    arrays = {**getattr(state, part), name: array} if array is not None else dict(getattr(state, part))
    if array is None:
        del arrays[name]
    return dataclasses.replace(state, **{part: arrays})


@pytest.mark.parametrize(
    ("part", "name", "change"),
    [
        ("weights", "network.head.bias", lambda _: None),
        ("weights", "network.surplus", lambda _: np.ones(3, np.float32)),
        ("weights", "network.head.bias", lambda a: a[:, :-1]),
        ("weights", "network.head.bias", lambda a: a.astype(np.float32)),
        ("weights", "network.head.bias", lambda a: np.full_like(a, np.nan)),
        ("weights", "scaler.scale", lambda a: a[:-1]),
        ("weights", "scaler.centre", lambda _: None),
        ("weights", "scaler.components", lambda a: a[:-1]),
        ("weights", "units.mean", lambda _: None),
        ("weights", "units.spread", lambda a: a[:-1]),
        ("bank", "expression", lambda a: a[:, :-1]),
        ("bank", "embeddings", lambda a: np.full_like(a, np.inf)),
        ("bank", "spot_ids", lambda a: a[:-20]),
    ],
)
def test_a_state_that_does_not_fit_is_refused(tiny, fitted, part, name, change):
    state = fitted.state()
    with pytest.raises(CheckpointError):
        tiny.load(_changed(state, part, name, change(getattr(state, part).get(name))))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "ridge"},
        {"profile": "r1"},
        {"features": ["other"]},
        {"target": "tpm"},
        {"settings": {"x": 1}},
        {"choice": {"top_k": 7}},
        {"choice": None},
    ],
)
def test_a_config_of_another_model_is_refused(tiny, fitted, change):
    state = fitted.state()
    with pytest.raises(CheckpointError):
        tiny.load(dataclasses.replace(state, config={**state.config, **change}))


def test_an_interrupted_fit_continues_to_the_same_bytes(tiny, fitted, typed_section, planted_request, tmp_path):
    class KilledError(Exception):
        pass

    def kill_at(stage, epoch):
        def progress(label, done, total):
            if (label, done) == (stage, epoch):
                raise KilledError

        return progress

    request = dataclasses.replace(planted_request(*map(typed_section, NAMES)), workdir=tmp_path)
    for stage, epoch in (("inner", 2), ("inner", 5), ("refit", 1)):
        with pytest.raises(KilledError):
            tiny.fit(dataclasses.replace(request, progress=kill_at(stage, epoch)))
    resumed = tiny.fit(request)
    assert state_digest(resumed.state()) == state_digest(fitted.state())
    assert resumed.history.equals(fitted.history)


def test_a_workdir_of_another_job_is_refused(tiny, typed_section, planted_request, tmp_path):
    request = dataclasses.replace(planted_request(typed_section("A1"), typed_section("B1")), workdir=tmp_path)
    tiny.fit(request)
    with pytest.raises(CheckpointError, match="another training job"):
        tiny.fit(dataclasses.replace(request, seed=1))


def test_a_diverging_loss_names_epoch_and_term(tiny, typed_section, planted_request):
    wild = Gr2stPredictor(("tiny",), tiny.settings.model_copy(update={"mse_weight": 1e300}))
    with pytest.raises(NonFiniteError) as caught:
        wild.fit(planted_request(typed_section("A1"), typed_section("B1")))
    assert caught.value.context["epoch"] == 1
    assert caught.value.context["term"] == "total"


def test_seeds_differ_and_the_global_random_state_is_left_alone(tiny, fitted, typed_section, planted_request):
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002 - the legacy state is what must not matter
    before = torch.get_rng_state()
    request = planted_request(*map(typed_section, NAMES))
    assert state_digest(tiny.fit(request).state()) == state_digest(fitted.state())
    assert torch.equal(torch.get_rng_state(), before)
    other = tiny.fit(dataclasses.replace(request, seed=1))
    assert not np.array_equal(other.state().weights["network.head.out"], fitted.state().weights["network.head.out"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_agree_to_a_thousandth(tiny, typed_section, planted_request, monkeypatch):
    # without dropout, whose masks are drawn by each device's own generator
    predictor = Gr2stPredictor(("tiny",), tiny.settings.model_copy(update={"dropout": 0.0}))
    request, image = planted_request(*map(typed_section, NAMES)), typed_section("B2").image
    states, trained, applied = {}, {}, {}
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(predictor_module, "pick_device", partial(torch.device, device))
        fitted = predictor.fit(request)
        states[device], trained[device] = fitted.state(), fitted.predict(image).values
        applied[device] = predictor.load(states["cpu"]).predict(image).values
    np.testing.assert_allclose(applied["cuda"], applied["cpu"], atol=1e-3)
    np.testing.assert_allclose(trained["cuda"], trained["cpu"], atol=1e-3)


def test_functional_edges_link_known_spots_within_the_degree_limit(fitted, typed_section):
    section = typed_section("A1")
    edges = functional_edges(fitted, section)
    assert set(edges["spot_id"]) == set(section.image.spot_ids)
    assert set(edges["neighbour_id"]) <= set(section.image.spot_ids)
    loops = edges["spot_id"] == edges["neighbour_id"]
    assert loops.sum() == section.image.n_spots
    assert edges["weight"][~loops].between(fitted.settings.graph.min_threshold, 1).all()
    assert edges.groupby("spot_id").size().max() <= fitted.settings.graph.max_degree + 1


def test_functional_edges_are_the_same_drawn_block_by_block(fitted, typed_section, monkeypatch):
    section = typed_section("A1")
    whole = functional_edges(fitted, section)
    monkeypatch.setattr(functional, "_BLOCK", 10 * section.image.n_spots)
    pd.testing.assert_frame_equal(functional_edges(fitted, section), whole, rtol=1e-5)


FIT_AND_PRINT_DIGEST = """
import runpy, sys
from gr2st_core.models.gr2st.mixing import Mix
from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.training.checkpoint import state_digest
from gr2st_core.types import Panel

planted, gr2st = (runpy.run_path(file) for file in sys.argv[1:])
sections = [gr2st["with_types"](planted["build_planted_section"](name)) for name in ("A1", "A2", "B1")]
request = FitRequest(sections, Panel("planted", planted["PLANTED_GENES"]), "per_spot")
print(state_digest(Gr2stPredictor(("tiny",), gr2st["TINY"]).fit(request).state()))
"""


def test_equal_seeds_give_equal_bytes_under_another_hash_seed(fitted):
    here = Path(__file__).parent
    printed = subprocess.run(
        [sys.executable, "-c", FIT_AND_PRINT_DIGEST, here.parent / "conftest.py", here / "conftest.py"],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == state_digest(fitted.state())


def test_the_inner_split_asks_the_question_of_the_outer_fold(tiny, typed_section, planted_request):
    sections = list(map(typed_section, NAMES))
    units = {
        unit: tiny.fit(planted_request(*sections, split_unit=unit)).config["inner"]["unit"]
        for unit in ("patient", "section")
    }
    assert units == {"patient": "patient", "section": "section"}


def test_a_cropped_section_is_predicted_the_same_wherever_the_surroundings_are_left(fitted, typed_section):
    image = typed_section("B2", n_spots=80).image
    row = image.pitch_xy[:, 1] - image.pitch_xy[:, 1].min()
    upper = row < 6.5
    whole, cropped = fitted.predict(image), fitted.predict(image.rows(upper))
    inside = row[upper] < 4.5  # neighbours are up to two rows away
    assert 0 < inside.sum() < upper.sum() < 80
    for name, part in cropped.components.items():
        assert np.allclose(part[inside], whole.components[name][upper][inside], atol=1e-5)
    assert np.allclose(cropped.values[inside], whole.values[upper][inside], atol=1e-5)


def test_both_components_are_in_target_units_so_that_any_weight_can_be_tried(fitted, typed_section, planted_panel):
    query = typed_section("B2", n_spots=80)
    truth = to_target(query.counts, planted_panel, "per_spot")
    prediction = fitted.predict(query.image)
    for part in (prediction.values, *prediction.components.values()):
        assert np.abs(part.mean(axis=0) - truth.mean(axis=0)).max() < 3 * truth.std()
        assert np.abs(part - fitted.units.mean).max() < 10 * fitted.units.spread.max()
