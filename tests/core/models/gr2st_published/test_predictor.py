"""The published states as a method: what they predict, refuse, store and resume."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gr2st_core.errors import CheckpointError, LeakageError, MissingArtifactError
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.models.gr2st_published.learner import PublishedLearner
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.training.checkpoint import load_snapshot, load_state, save_state, state_digest


def test_a_planted_link_is_learned_and_shuffled_features_show_none(tiny, job, typed_section, planted_panel):
    fitted = PublishedPredictor(("tiny",), tiny.settings.model_copy(update={"epochs": 40, "late_epoch": 40})).fit(job)
    query = typed_section("B2", n_spots=80)
    truth = to_target(query.counts, planted_panel, "per_spot")
    order = np.random.default_rng(0).permutation(80)
    shuffled = dataclasses.replace(query.image, features={"tiny": query.image.features["tiny"][order]})
    true_score, false_score = (
        float(np.mean(pearson_per_gene(truth, fitted.predict(image).values))) for image in (query.image, shuffled)
    )
    assert true_score > 0.5
    assert abs(false_score) < 0.2


def test_prediction_is_the_published_mix_of_its_components_in_order(profile, fitted, typed_section):
    image = typed_section("B2").image
    prediction = fitted.predict(image)
    parts = prediction.components
    if profile == "r1":
        assert (list(parts), prediction.weight) == (["retrieval"], None)
        expected = parts["retrieval"]
    else:
        assert (list(parts), prediction.weight) == (["retrieval", "regression"], 0.4)
        expected = 0.4 * parts["retrieval"] + 0.6 * parts["regression"]
    assert np.allclose(prediction.values, expected, atol=1e-6)
    assert prediction.values.dtype == np.float32
    assert prediction.spot_ids.tolist() == image.spot_ids.tolist()
    assert prediction.genes == fitted.panel.genes


@pytest.mark.parametrize("profile", ["r2"], indirect=True)
@pytest.mark.parametrize(("weight", "component"), [(1.0, "retrieval"), (0.0, "regression")])
def test_a_weight_of_one_or_zero_gives_a_component_exactly(fitted, typed_section, weight, component):
    settings = fitted.settings.model_copy(update={"retrieval_weight": weight})
    prediction = dataclasses.replace(fitted, settings=settings).predict(typed_section("B2").image)
    assert np.array_equal(prediction.values, prediction.components[component])


def test_permuted_spots_have_permuted_predictions_and_a_lone_spot_its_own(fitted, typed_section):
    image = typed_section("B2").image
    order = np.random.default_rng(0).permutation(image.n_spots)
    whole = fitted.predict(image).values
    assert np.allclose(fitted.predict(image.rows(order)).values, whole[order], atol=1e-5)
    assert np.allclose(fitted.predict(image.rows(np.array([5]))).values, whole[5:6], atol=1e-5)


def test_predicting_twice_gives_the_same_bytes_with_or_without_cell_types(fitted, typed_section, planted_section):
    with_types, without = typed_section("B2").image, planted_section("B2").image
    assert fitted.predict(with_types).values.tobytes() == fitted.predict(without).values.tobytes()


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


def test_sections_without_an_image_change_nothing(tiny, job, fitted, typed_section):
    section = typed_section("C1")
    counts_only = dataclasses.replace(section, image=dataclasses.replace(section.image, features={}))
    refitted = tiny.fit(dataclasses.replace(job, sections=[*job.sections, counts_only]))
    assert state_digest(refitted.state()) == state_digest(fitted.state())


def test_the_bank_is_in_the_target_that_was_asked_for_and_training_is_not(tiny, job, fitted, planted_panel):
    legacy = tiny.fit(dataclasses.replace(job, target="per_gene_legacy"))
    for name, array in fitted.state().weights.items():
        assert np.array_equal(array, legacy.state().weights[name]), name
    for model, target in ((fitted, "per_spot"), (legacy, "per_gene_legacy")):
        values = np.concatenate([to_target(s.counts, planted_panel, target) for s in job.sections])
        assert np.array_equal(model.bank.expression, values.astype(np.float16))
    assert np.array_equal(fitted.bank.embeddings, legacy.bank.embeddings)
    assert fitted.history.equals(legacy.history)
    assert (legacy.config["training_target"], legacy.config["target"]) == ("per_spot", "per_gene_legacy")
    mixed = any("per_spot units" in note for note in legacy.config["notes"])
    assert mixed == (tiny.profile == "r2")


def test_a_second_target_in_the_same_workdir_takes_no_step(tiny, job, tmp_path, monkeypatch):
    job = dataclasses.replace(job, workdir=tmp_path)
    tiny.fit(job)
    steps = []
    step = PublishedLearner.step
    monkeypatch.setattr(PublishedLearner, "step", lambda *args: steps.append(args) or step(*args))
    again = tiny.fit(dataclasses.replace(job, target="cp10k"))
    assert steps == []
    fresh = tiny.fit(dataclasses.replace(job, target="cp10k", workdir=None))
    assert len(steps) == 18
    assert state_digest(again.state()) == state_digest(fresh.state())
    assert again.history.equals(fresh.history)


def test_the_account_of_the_fit_is_complete(profile, tiny, fitted, job):
    config, history = fitted.config, fitted.history
    assert config["n_steps"] == tiny.settings.epochs * 3 == 18
    assert config["sections"] == ["toy/A1", "toy/A2", "toy/B1"]
    assert config["cell_types"] == ["test"]
    assert "cell classes are not HoVer-Net's" in config["notes"]
    assert json.loads(json.dumps(config)) == config
    terms = {"total", "contrastive", "contrastive_chance"}
    assert set(history["term"]) == (terms if profile == "r1" else terms | {"mse", "gate", "attention"})
    assert np.allclose(history.query("term == 'contrastive_chance'")["value"], np.log(48))
    assert history["epoch"].max() == 6


@pytest.mark.parametrize("profile", ["r2"], indirect=True)
def test_r2_has_one_optimiser_for_the_whole_fit(tiny, job, tmp_path):
    fitted = tiny.fit(dataclasses.replace(job, workdir=tmp_path))
    tensors, _ = load_snapshot(tmp_path / "training.safetensors")
    assert {float(t) for name, t in tensors.items() if name.endswith(".step")} == {fitted.config["n_steps"]}


def test_a_stored_model_predicts_the_same_bits(tiny, fitted, typed_section, tmp_path):
    image = typed_section("B2").image
    save_state(fitted.state(), tmp_path)
    loaded = tiny.load(load_state(tmp_path))
    assert state_digest(loaded.state()) == state_digest(fitted.state())
    first, second = fitted.predict(image), loaded.predict(image)
    assert first.values.tobytes() == second.values.tobytes()
    assert all(np.array_equal(first.components[name], second.components[name]) for name in first.components)


def _changed(state, part, name, array):
    arrays = {**getattr(state, part), name: array}
    if array is None:
        del arrays[name]
    return dataclasses.replace(state, **{part: arrays})


@pytest.mark.parametrize(
    ("part", "name", "change"),
    [
        ("weights", "network.spot.tail.weight", lambda _: None),
        ("weights", "network.surplus", lambda _: np.ones(3, np.float32)),
        ("weights", "network.image.project.weight", lambda a: a[:, :-1]),
        ("weights", "network.image.project.weight", lambda a: a.astype(np.float32)),
        ("weights", "network.image.project.weight", lambda a: np.full_like(a, np.nan)),
        ("weights", "scaler.spread", lambda a: a[:-1]),
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
    [{"method": "ridge"}, {"profile": "ours"}, {"features": ["other"]}, {"target": "tpm"}, {"settings": {"x": 1}}],
)
def test_a_config_of_another_model_is_refused(tiny, fitted, change):
    state = fitted.state()
    with pytest.raises(CheckpointError):
        tiny.load(dataclasses.replace(state, config={**state.config, **change}))


def test_an_interrupted_fit_continues_to_the_same_bytes(tiny, job, fitted, tmp_path):
    class KilledError(Exception):
        pass

    def kill_at(epoch):
        def progress(_, done, total):
            if done == epoch:
                raise KilledError

        return progress

    job = dataclasses.replace(job, workdir=tmp_path)
    for epoch in (2, 5):
        with pytest.raises(KilledError):
            tiny.fit(dataclasses.replace(job, progress=kill_at(epoch)))
    resumed = tiny.fit(job)
    assert state_digest(resumed.state()) == state_digest(fitted.state())
    assert resumed.history.equals(fitted.history)


def test_a_workdir_of_another_job_is_refused(tiny, job, tmp_path):
    job = dataclasses.replace(job, workdir=tmp_path)
    tiny.fit(job)
    with pytest.raises(CheckpointError, match="another training job"):
        tiny.fit(dataclasses.replace(job, seed=1))


def test_seeds_differ(tiny, job, fitted):
    other = tiny.fit(dataclasses.replace(job, seed=1)).state().weights
    assert not np.array_equal(other["network.spot.head.weight"], fitted.state().weights["network.spot.head.weight"])


FIT_AND_PRINT_DIGEST = """
import runpy, sys
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.training.checkpoint import state_digest
from gr2st_core.types import Panel

planted, own = (runpy.run_path(file) for file in sys.argv[1:3])
sections = [own["with_types"](planted["build_planted_section"](name)) for name in ("A1", "A2", "B1")]
request = FitRequest(sections, Panel("planted", planted["PLANTED_GENES"]), "per_spot")
print(state_digest(PublishedPredictor(("tiny",), own["TINY"][sys.argv[3]]).fit(request).state()))
"""


def test_equal_seeds_give_equal_bytes_under_another_hash_seed(profile, fitted):
    here = Path(__file__).parent
    printed = subprocess.run(
        [sys.executable, "-c", FIT_AND_PRINT_DIGEST, here.parent / "conftest.py", here / "conftest.py", profile],
        env={**os.environ, "PYTHONHASHSEED": "4242"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == state_digest(fitted.state())
