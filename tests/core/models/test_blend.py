"""A blend weighs its parts inside training, says how, and is stored whole."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gr2st_core.cells.classes import CLASSES
from gr2st_core.errors import CheckpointError, LeakageError, SplitError
from gr2st_core.evaluation.metrics import is_constant, mean_of_defined, pearson_per_gene, zero_filled
from gr2st_core.expression.targets import to_target
from gr2st_core.models.blend.mixture import LEAST_SLOPE, SectionMoments, choose_mixture, grid
from gr2st_core.models.blend.parts import Component
from gr2st_core.models.blend.predictor import BlendPredictor
from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.models.knn import KnnPredictor
from gr2st_core.models.low_rank.predictor import LowRankPredictor
from gr2st_core.models.registry import BLENDED, METHODS, ROTATED
from gr2st_core.models.selection import score_of
from gr2st_core.models.spec import M224
from gr2st_core.predictor import FitRequest, ModelState, Needs
from gr2st_core.settings import BlendSettings, Gr2stSettings, KnnSettings, LowRankSettings, Settings
from gr2st_core.training.checkpoint import load_state, save_state, state_digest
from gr2st_core.training.folds import inner_splits, middle_split, split_digest
from gr2st_core.types import CellTypes, Counts, Prediction, TrainSection, patients_of, require_image_sections

GR2ST = Gr2stSettings(
    d_embedding=16, n_heads=2, n_positions=12, top_ks=(10, 20), epochs=3, patience=3, learning_rate=3e-3, max_pcs=6
)
LOW_RANK = LowRankSettings(n_loadings=(6,), shared_loadings=((0.5, 4),), penalties=(0.1,), ranks=(2,), n_averaged=1)
ENCODERS = tuple(dict.fromkeys((*M224, *ROTATED)))


def real_blend(**options: Any) -> BlendPredictor:
    components = (
        Component("low_rank_tcg_counts", LowRankPredictor("tcg", LOW_RANK, counts_only=True)),
        Component("knn_m224", KnnPredictor(M224, KnnSettings(neighbours=(10, 20)), "m224")),
        Component("gr2st_ours", Gr2stPredictor(M224, GR2ST), ("regression", "retrieval")),
    )
    return BlendPredictor(components, BlendSettings(**options))


@pytest.fixture
def planted(planted_section):
    """Builder of sections with every encoder and cell types."""

    def build(name: str, n_spots: int = 48) -> TrainSection:
        section = planted_section(name, n_spots, encoders=ENCODERS)
        types = CellTypes(CLASSES, np.full((n_spots, len(CLASSES)), 1 / len(CLASSES)), "expression", "test")
        return replace(section, cell_types=types)

    return build


@pytest.fixture
def request_of(planted, planted_panel):
    def build(*sections, target="per_spot", **options) -> FitRequest:
        built = [planted(s) if isinstance(s, str) else s for s in sections]
        return FitRequest(built, planted_panel, target, **options)

    return build


@pytest.fixture
def fitted(request_of):
    return real_blend().fit(request_of("A1", "A2", "B1"))


def blind(section: TrainSection) -> TrainSection:
    return replace(section, image=replace(section.image, features={}))


# Stand-ins whose worth is known: what they predict is written into the section's features.


@dataclass(frozen=True)
class FittedStub:
    genes: tuple[str, ...]
    feature: str

    def predict(self, section) -> Prediction:
        require_image_sections([section])
        return Prediction(section.key, section.spot_ids, self.genes, section.features[self.feature])

    def state(self) -> ModelState:
        return ModelState({"none": np.zeros(1, dtype=np.float32)}, {"panel": None, "target": None})


@dataclass
class Stub:
    feature: str
    method: ClassVar[str] = "stub"
    profile: str = "test"
    seen: list[FitRequest] = field(default_factory=list)

    @property
    def needs(self) -> Needs:
        return Needs(features=(self.feature,), counts_only=self.feature == "planted")

    def fit(self, request: FitRequest) -> FittedStub:
        self.seen.append(request)
        return FittedStub(request.panel.genes, self.feature)

    def load(self, state: ModelState) -> FittedStub:
        raise NotImplementedError


@pytest.fixture
def stubbed(planted_section, planted_panel):
    """Sections whose features are predictions: ``planted`` the truth times 7 plus 3, ``noise``, ``half`` noisy."""

    def build(name: str) -> TrainSection:
        section = planted_section(name)
        truth = to_target(section.counts, planted_panel, "per_spot")
        rng = np.random.default_rng([ord(letter) for letter in name])
        noise = [rng.normal(size=truth.shape) for _ in range(3)]
        features = {
            "planted": 7 * truth + 3,
            "noise": 100 * noise[0],
            "half": truth + truth.std() * noise[1],
            "other": 2 * truth + 2 * truth.std() * noise[2],
        }
        rows = {key: rows.astype(np.float32) for key, rows in features.items()}
        return replace(section, image=replace(section.image, features=rows))

    return build


def stub_blend(*names: str, **options: Any) -> tuple[BlendPredictor, dict[str, Stub]]:
    stubs = {name: Stub(name) for name in names}
    return BlendPredictor([Component(n, s) for n, s in stubs.items()], BlendSettings(**options)), stubs


@pytest.mark.parametrize("order", [("noise", "planted"), ("planted", "noise"), ("half", "noise", "planted")])
def test_a_planted_part_gets_all_weight_and_a_useless_one_none(order, stubbed, planted_panel) -> None:
    predictor, _ = stub_blend(*order)
    fitted = predictor.fit(FitRequest([stubbed(n) for n in ("A1", "A2", "B1")], planted_panel, "per_spot"))
    assert fitted.config["choice"]["weights"] == {name: float(name == "planted") for name in order}
    query = stubbed("C1")
    truth = to_target(query.counts, planted_panel, "per_spot")
    predicted = fitted.predict(query.image)
    np.testing.assert_allclose(predicted.values - predicted.values.mean(0), truth - truth.mean(0), atol=1e-4)
    np.testing.assert_allclose(predicted.components["relative"], truth - truth.mean(0), atol=1e-4)


def test_parts_that_complete_each_other_share_and_a_high_margin_forbids_it(stubbed, planted_panel) -> None:
    request = FitRequest([stubbed(n) for n in ("A1", "A2", "B1")], planted_panel, "per_spot")
    shared = stub_blend("half", "other")[0].fit(request).weights
    assert min(shared) >= 0.3
    assert sorted(stub_blend("half", "other", margin=0.9)[0].fit(request).weights) == [0.0, 1.0]


def test_of_equals_the_more_cautious_wins(stubbed, planted_panel) -> None:
    request = FitRequest([stubbed(n) for n in ("A1", "A2", "B1")], planted_panel, "per_spot")
    same = [Component("first", Stub("half")), Component("second", Stub("half"))]
    assert BlendPredictor(same, BlendSettings(margin=0)).fit(request).weights == (1.0, 0.0)


def test_absolute_values_are_the_training_mean_and_scaled_deviations(stubbed, planted_panel) -> None:
    sections = [stubbed(n) for n in ("A1", "A2", "B1")]
    fitted = stub_blend("half", "other")[0].fit(FitRequest(sections, planted_panel, "per_spot"))
    choice, query = fitted.config["choice"], stubbed("C1").image
    mean = np.mean([to_target(s.counts, planted_panel, "per_spot").mean(axis=0) for s in sections], axis=0)
    expected = mean + sum(
        choice["slope"] * weight / choice["spreads"][name] * (query.features[name] - mean)
        for name, weight in choice["weights"].items()
    )
    predicted = fitted.predict(query)
    np.testing.assert_allclose(predicted.values, expected, atol=1e-5)
    half = np.arange(20)
    np.testing.assert_array_equal(fitted.predict(query.rows(half)).values, predicted.values[half])


def test_slope_and_spreads_are_those_of_the_inner_predictions(stubbed, planted_panel) -> None:
    sections = [stubbed(n) for n in ("A1", "A2", "B1")]
    choice = stub_blend("noise", "half")[0].fit(FitRequest(sections, planted_panel, "per_spot")).config["choice"]
    (held,) = [s for s in sections if str(s.key) in choice["validation"]]
    guess = held.image.features["half"].astype(float)
    truth = to_target(held.counts, planted_panel, "per_spot").astype(float)
    guess, truth = guess - guess.mean(axis=0), truth - truth.mean(axis=0)
    assert choice["weights"]["half"] == 1.0
    assert choice["spreads"]["half"] == pytest.approx(guess.std())
    assert choice["slope"] == pytest.approx((guess * truth).sum() / (guess**2).sum() * guess.std())


def test_where_nothing_predicts_a_faint_pattern_is_kept(stubbed, planted_panel) -> None:
    section = stubbed("A1")
    against = {"planted": -section.image.features["planted"]}
    moments = SectionMoments.of(to_target(section.counts, planted_panel, "per_spot"), list(against.values()))
    mixture = choose_mixture([moments], steps=2, margin=0.0)
    assert (mixture.weights, mixture.slope) == ((1.0,), LEAST_SLOPE)
    flat = SectionMoments.of(to_target(section.counts, planted_panel, "per_spot"), [np.ones((48, 12))])
    assert choose_mixture([flat], steps=2, margin=0.0).coefficients == (0.0,)


def test_the_fast_score_is_the_score_of_the_mixture(stubbed, planted_panel) -> None:
    section = stubbed("A1")
    truth = to_target(section.counts, planted_panel, "per_spot")
    truth[:, 0] = 1.0
    parts = [section.image.features["half"].copy(), section.image.features["other"].copy()]
    parts[0][:, 1] = parts[1][:, 1] = 5.0
    weights = np.array([0.3, 0.7])
    mixed = np.tensordot(weights, parts, axes=1)
    expected = mean_of_defined(zero_filled(pearson_per_gene(truth, mixed), is_constant(truth)))
    assert SectionMoments.of(truth, parts).pearson(weights) == pytest.approx(expected)


def test_undefined_everywhere_is_refused() -> None:
    moments = SectionMoments.of(np.ones((5, 3)), [np.ones((5, 3))])
    with pytest.raises(SplitError, match="no inner correlation is defined"):
        choose_mixture([moments], steps=2, margin=0.0)


def test_the_grid_holds_every_mixture_from_the_most_cautious() -> None:
    assert grid(2, 4) == [(1.0, 0.0), (0.0, 1.0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75)]
    assert len(grid(4, 10)) == 286
    assert all(min(weights) >= 0 and sum(weights) == pytest.approx(1) for weights in grid(4, 10))


def test_inside_nothing_is_learnt_from_what_is_held_out(stubbed, planted_panel) -> None:
    predictor, stubs = stub_blend("planted", "noise")
    extra = [blind(stubbed(name)) for name in ("A9", "B9", "D1")]
    predictor.fit(FitRequest([stubbed(n) for n in ("A1", "A2", "B1")], planted_panel, "per_spot", counts_only=extra))
    inner, outer = stubs["planted"].seen
    assert patients_of(inner.sections) == ("toy/A",)
    assert [str(s.key) for s in inner.counts_only] == ["toy/D1"]
    assert len(outer.sections) == len(outer.counts_only) == 3
    assert all(request.counts_only == () for request in stubs["noise"].seen)


@pytest.mark.parametrize(
    ("names", "options", "unit"),
    [
        (("A1", "A2", "B1"), {}, "patient"),
        (("A1", "A2", "B1"), {"split_unit": "section"}, "section"),
        (("A1",), {}, "quadrant"),
    ],
)
def test_the_choice_is_stored_with_its_provenance(request_of, planted, names, options, unit) -> None:
    request = request_of(*names, **options)
    fitted = real_blend().fit(request)
    choice = fitted.config["choice"]
    parts = ["low_rank_tcg_counts", "knn_m224", "gr2st_ours/regression", "gr2st_ours/retrieval"]
    split = middle_split(inner_splits(request.sections, request.split_unit))
    assert choice["parts"] == list(choice["weights"]) == parts
    assert sum(fitted.weights) == pytest.approx(1)
    assert min(fitted.weights) >= 0
    assert (choice["inner_unit"], choice["split_digest"]) == (unit, split_digest(split.train))
    assert choice["validation"] == [str(s.key) for s in split.validation]
    curve = {tuple(row["weights"]): row["pearson"] for row in choice["inner_curve"]}
    assert len(curve) == 286
    price = {weights: score - 0.002 * (np.count_nonzero(weights) - 1) for weights, score in curve.items()}
    assert price[fitted.weights] == max(price.values())
    prediction = fitted.predict(planted("C9").image)
    assert prediction.weight == choice["gr2st_share"] == pytest.approx(sum(fitted.weights[2:]))
    assert set(prediction.components) == {"retrieval", "regression", "relative"}
    assert np.isfinite(prediction.values).all()


def test_counts_do_not_reach_a_prediction(fitted, planted) -> None:
    with pytest.raises(LeakageError, match=r"predict takes ImageSection.*found=TrainSection"):
        fitted.predict(planted("C1"))
    with pytest.raises(LeakageError):
        fitted.predict(planted("A1").image)


def test_counts_of_a_validation_section_change_weights_alone(request_of, planted) -> None:
    """Inner predictions know nothing of the counts that judge them."""
    first, again = request_of("A1", "A2", "B1"), request_of("A1", "A2", "B1")
    split = middle_split(inner_splits(first.sections))
    counts = split.validation[0].counts
    shuffled = Counts(sparse.csr_matrix(counts.matrix.toarray()[::-1]), counts.genes)
    again = replace(
        again, sections=[replace(s, counts=shuffled) if s.key == split.validation[0].key else s for s in again.sections]
    )
    for component in real_blend().components[:2]:
        one, two = (component.fit_inner(r, middle_split(inner_splits(r.sections))) for r in (first, again))
        query = planted("C1").image
        assert one.predict(query).values.tobytes() == two.predict(query).values.tobytes()


def test_permuted_spots_have_permuted_predictions(fitted, planted) -> None:
    image = planted("C1").image
    order = np.random.default_rng(0).permutation(image.n_spots)
    straight, permuted = fitted.predict(image), fitted.predict(image.rows(order))
    np.testing.assert_allclose(permuted.values, straight.values[order], atol=1e-5)
    for name, part in straight.components.items():
        np.testing.assert_allclose(permuted.components[name], part[order], atol=1e-5)


def test_equal_jobs_give_equal_bytes(fitted, request_of, planted) -> None:
    again, image = real_blend().fit(request_of("A1", "A2", "B1")), planted("C1").image
    assert state_digest(fitted.state()) == state_digest(again.state())
    assert fitted.predict(image).values.tobytes() == fitted.predict(image).values.tobytes()


def test_a_stored_blend_is_that_blend(fitted, planted, tmp_path) -> None:
    save_state(fitted.state(), tmp_path / "m")
    loaded, image = real_blend().load(load_state(tmp_path / "m")), planted("C1").image
    one, two = fitted.predict(image), loaded.predict(image)
    assert one.values.tobytes() == two.values.tobytes()
    assert {n: a.tobytes() for n, a in one.components.items()} == {n: a.tobytes() for n, a in two.components.items()}
    assert (one.weight, state_digest(fitted.state())) == (two.weight, state_digest(loaded.state()))
    pd.testing.assert_frame_equal(loaded.state().history, fitted.state().history)
    assert set(fitted.state().history["stage"]) == {"inner", "refit"}


def changed(config: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(config))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return copy


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("method",), "gr2st", "another method"),
        (("components",), {}, "other components"),
        (("components",), None, "other components"),
        (("components", "knn_m224", "target"), "cp10k", "for another job"),
        (("components", "knn_m224", "profile"), "x", "another method"),
        (("choice",), None, "one number a part"),
        (("choice", "weights"), {"knn_m224": 1.0}, "one number a part"),
        (("choice", "weights", "knn_m224"), -1.0, "at least 0"),
        (("choice", "weights", "knn_m224"), 7.0, "sum to 1"),
        (("choice", "coefficients", "knn_m224"), "1", "at least 0"),
    ],
)
def test_a_config_of_something_else_is_refused(fitted, path, value, message) -> None:
    state = fitted.state()
    with pytest.raises(CheckpointError, match=message):
        real_blend().load(replace(state, config=changed(state.config, *path, to=value)))


@pytest.mark.parametrize("part", ["weights", "bank"])
@pytest.mark.parametrize("name", ["stray", "other/stray", "knn_m224/stray", "gr2st_ours/stray"])
def test_stray_arrays_are_refused(fitted, part, name) -> None:
    state = fitted.state()
    arrays = {**getattr(state, part), name: np.zeros(1, dtype=np.float32)}
    with pytest.raises(CheckpointError):
        real_blend().load(replace(state, **{part: arrays}))


def test_missing_arrays_are_refused(fitted) -> None:
    state = fitted.state()
    for name in ("training_mean", "low_rank_tcg_counts/gene_mean", "gr2st_ours/scaler.centre"):
        weights = {key: array for key, array in state.weights.items() if key != name}
        with pytest.raises(CheckpointError):
            real_blend().load(replace(state, weights=weights))


# Shared work


def test_the_inner_model_is_that_of_the_best_epoch(request_of, planted_panel) -> None:
    request = request_of("A1", "A2", "B1")
    predictor = Gr2stPredictor(M224, GR2ST.model_copy(update={"learning_rate": 0.02, "epochs": 8}))
    split = middle_split(inner_splits(request.sections, request.split_unit))
    inner = predictor.fit_inner(request, split)
    account = predictor.fit(request).config["inner"]
    assert account["chosen_epoch"] < 8
    (held,) = split.validation
    truth = to_target(held.counts, planted_panel, "per_spot")
    assert score_of(truth, inner.predict(held.image).values) == pytest.approx(max(account["curve"]), abs=1e-7)


def test_the_blend_finds_what_the_component_alone_has_trained(request_of, tmp_path, monkeypatch) -> None:
    alone, within = tmp_path / "gr2st", tmp_path / "blend"
    request = request_of("A1", "A2", "B1")
    single = real_blend().components[2].predictor.fit(replace(request, workdir=alone))
    steps: list[int] = []
    original = Gr2stPredictor._train

    def spy(self, sections, validation, request, stage, epochs, file=None, **options):
        held = request.workdir / f"{file or stage}.safetensors"
        steps.append(0 if held.exists() else epochs)
        return original(self, sections, validation, request, stage, epochs, file, **options)

    monkeypatch.setattr(Gr2stPredictor, "_train", spy)
    blended = real_blend().fit(replace(request, workdir=within, workdirs={"gr2st_ours": alone}))
    assert [bool(n) for n in steps] == [False, True, False, False]  # only the best inner epoch is trained again
    apart = real_blend().fit(replace(request, workdir=within))
    assert (within / "gr2st_ours" / "refit.safetensors").exists()
    digests = {state_digest(model.state()) for model in (blended, apart)}
    assert len(digests) == 1
    assert state_digest(blended.fitted["gr2st_ours"].state()) == state_digest(single.state())


def test_the_registry_names_what_the_blend_is_made_of() -> None:
    spec = METHODS["blend_default"]
    built = spec.build(Settings())
    assert tuple(component.name for component in built.components) == spec.components == BLENDED
    assert set(spec.components) <= set(METHODS)
    assert (built.needs, built.method, built.profile) == (spec.needs, spec.method, spec.profile)
