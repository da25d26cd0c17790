"""Every comparator keeps the contract of ``Predictor``, on pixels and on features."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import CheckpointError, LeakageError, MissingArtifactError
from gr2st_core.models.comparators.specs import COMPARATORS
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.settings import Settings
from gr2st_core.training.checkpoint import load_state, save_state
from gr2st_core.types import Counts
from samples.pictured import quick, with_pixels

SMALL = [spec.name for spec in COMPARATORS if spec.profile.endswith("_small")]


@pytest.fixture
def pictured(planted_section):
    """Builder of planted sections with an image, and features of it."""
    return lambda name: with_pixels(planted_section(name, encoders=M224))


@pytest.fixture(scope="module")
def trained():
    """Models trained once, by method."""
    return {}


@pytest.fixture
def fitted(trained, pictured, planted_request):
    def fit(name: str):
        if name not in trained:
            trained[name] = quick(name).fit(planted_request(*map(pictured, ("A1", "A2", "B1"))))
        return trained[name]

    return fit


@pytest.mark.parametrize("spec", COMPARATORS, ids=lambda spec: spec.name)
def test_what_is_built_is_what_was_announced(spec) -> None:
    built = quick(spec.name)
    assert (built.method, built.profile, built.needs) == (spec.method, spec.profile, spec.needs)


@pytest.mark.parametrize("name", SMALL)
def test_a_section_is_predicted_from_its_image_alone(name, fitted, pictured) -> None:
    query = pictured("C1")
    predicted = fitted(name).predict(query.image)
    assert predicted.values.shape == (48, 12)
    assert predicted.values.dtype == np.float32
    assert np.isfinite(predicted.values).all()
    assert predicted.values.std(axis=0).min() > 0, "the image must matter"
    noise = np.random.default_rng(0).integers(0, 99, query.counts.matrix.shape)
    replaced = replace(query, counts=Counts(sparse.csr_matrix(noise), query.counts.genes))
    assert fitted(name).predict(replaced.image).values.tobytes() == predicted.values.tobytes()


@pytest.mark.parametrize("name", SMALL)
def test_permuting_spots_permutes_predictions(name, fitted, pictured) -> None:
    image = pictured("C1").image
    order = np.random.default_rng(0).permutation(image.n_spots)
    straight, permuted = fitted(name).predict(image), fitted(name).predict(image.rows(order))
    np.testing.assert_allclose(permuted.values, straight.values[order], atol=1e-4)
    assert permuted.spot_ids.tolist() == straight.spot_ids[order].tolist()


@pytest.mark.parametrize("name", SMALL)
def test_equal_input_gives_equal_bytes(name, fitted, pictured, planted_request) -> None:
    image = pictured("C1").image
    again = quick(name).fit(planted_request(*map(pictured, ("A1", "A2", "B1"))))
    first = fitted(name).predict(image).values.tobytes()
    assert first == fitted(name).predict(image).values.tobytes() == again.predict(image).values.tobytes()
    one, two = fitted(name).state(), again.state()
    assert one.config == two.config
    for own, other in ((one.weights, two.weights), (one.bank, two.bank)):
        assert {n: a.tobytes() for n, a in own.items()} == {n: a.tobytes() for n, a in other.items()}


@pytest.mark.parametrize("name", SMALL)
def test_a_stored_model_predicts_the_same_bytes(name, fitted, pictured, tmp_path) -> None:
    save_state(fitted(name).state(), tmp_path)
    loaded = quick(name).load(load_state(tmp_path))
    image = pictured("C1").image
    assert loaded.predict(image).values.tobytes() == fitted(name).predict(image).values.tobytes()


@pytest.mark.parametrize("name", SMALL)
def test_what_was_stored_otherwise_is_refused(name, fitted) -> None:
    state = fitted(name).state()
    stored = replace(state, config=json.loads(json.dumps(state.config)))
    array = next(iter(state.weights))
    missing = {key: value for key, value in state.weights.items() if key != array}
    for wrong, message in (
        (replace(stored, config={**stored.config, "profile": "other"}), "a model of another kind"),
        (replace(stored, weights=missing), "arrays are missing|does not fit"),
        (replace(stored, weights={**state.weights, "stray": np.zeros(1, np.float32)}), "does not have"),
        (replace(stored, weights={**state.weights, array: state.weights[array] * np.nan}), "finite"),
    ):
        with pytest.raises(CheckpointError, match=message):
            quick(name).load(wrong)


@pytest.mark.parametrize("name", SMALL)
def test_lonely_and_empty_spots_are_finite(name, pictured, planted_request) -> None:
    apart, query = pictured("A2"), pictured("C1")
    image = apart.image
    far = np.where(np.arange(image.n_spots)[:, None] == 0, image.pixel_xy + 5000, image.pixel_xy)
    silent = apart.counts.matrix.toarray()
    silent[1] = 0
    section = replace(
        apart,
        image=replace(image, pixel_xy=far, patches=replace(image.patches, pixel_xy=far)),
        counts=Counts(sparse.csr_matrix(silent), apart.counts.genes),
    )
    fitted = quick(name).fit(planted_request(pictured("A1"), section, pictured("B1")))
    alone = query.image.rows(np.array([7]))
    assert np.isfinite(fitted.predict(query.image).values).all()
    assert np.isfinite(fitted.predict(alone).values).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_section_of_one_spot_can_be_trained_on(name, pictured, planted_request) -> None:
    one = pictured("A2").rows(np.array([3]))
    fitted = quick(name).fit(planted_request(pictured("A1"), one, pictured("B1")))
    assert np.isfinite(fitted.predict(pictured("C1").image).values).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_section_larger_than_the_position_tables_teaches_and_is_predicted(
    name, fitted, pictured, planted_request
) -> None:
    def spread(section):
        """The same spots over 133 columns and 131 rows, as many pitches apart as that is."""
        image, factors = section.image, np.array([19, 26])
        xy = image.pixel_xy * factors
        patches = replace(image.patches, pixel_xy=xy)
        return replace(section, image=replace(image, array_xy=image.array_xy * factors, pixel_xy=xy, patches=patches))

    small, large = pictured("C1").image, spread(pictured("C1")).image
    assert large.array_xy.max(axis=0).min() >= getattr(Settings(), METHODS[name].settings).n_positions
    taught = quick(name).fit(planted_request(pictured("A1"), spread(pictured("A2")), pictured("B1")))
    for own in (fitted(name), taught):
        predicted = own.predict(large).values
        assert np.isfinite(predicted).all()
        assert predicted.shape == own.predict(small).values.shape
        assert predicted.std(axis=0).min() > 0


@pytest.mark.parametrize("name", SMALL)
def test_sections_without_an_image_are_left_aside_and_not_predicted(
    name, fitted, pictured, planted_section, planted_request
) -> None:
    blind = planted_section("A3", encoders=())
    with pytest.raises(MissingArtifactError, match="toy/A3"):
        fitted(name).predict(blind.image)
    with pytest.raises(MissingArtifactError, match="no training section"):
        quick(name).fit(planted_request(blind))
    seeing = quick(name).fit(planted_request(*map(pictured, ("A1", "A2", "B1")), blind))
    assert seeing.state().config["sections"] == ["toy/A1", "toy/A2", "toy/B1"]


@pytest.mark.parametrize("name", SMALL)
def test_a_section_with_counts_is_refused(name, fitted, pictured) -> None:
    with pytest.raises(LeakageError, match=r"predict takes ImageSection.*found=TrainSection"):
        fitted(name).predict(pictured("C1"))


@pytest.mark.parametrize("name", SMALL)
def test_the_number_of_epochs_is_chosen_inside_training(name, fitted) -> None:
    inner = fitted(name).state().config["inner"]
    assert inner["unit"] == "patient"
    assert set(inner["train"]).isdisjoint(inner["validation"])
    assert 1 <= inner["chosen_epoch"] <= 2
    history = fitted(name).state().history
    scores = history.query("stage == 'inner' and term == 'inner_pcc'")["value"]
    assert inner["best_score"] == scores.max()
    assert history.query("stage == 'refit'")["epoch"].max() == inner["chosen_epoch"]


@pytest.mark.parametrize("name", SMALL)
def test_both_sizes_are_methods_of_their_own(name) -> None:
    full = METHODS[name.removesuffix("_small")]
    assert full.settings != METHODS[name].settings
    assert full.needs == METHODS[name].needs
