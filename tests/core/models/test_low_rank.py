"""Low rank equals its recipe, chooses inside training, and stores one linear map."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from gr2st_core.errors import CheckpointError, LeakageError, MissingArtifactError, SplitError
from gr2st_core.evaluation.metrics import pearson_per_gene
from gr2st_core.expression.targets import to_target
from gr2st_core.models.blocks import BLOCK_SETS
from gr2st_core.models.low_rank.loadings import shared_correlation
from gr2st_core.models.low_rank.predictor import LowRankPredictor
from gr2st_core.models.low_rank.solver import Candidate
from gr2st_core.models.low_rank.training import Training
from gr2st_core.models.ridge import RidgePredictor
from gr2st_core.predictor import FitRequest
from gr2st_core.settings import LowRankSettings, RidgeSettings
from gr2st_core.training.checkpoint import load_state, save_state
from gr2st_core.types import Counts, Panel, TrainSection

ENCODERS = ("efficientnet_lite0", "efficientnet_lite0_rot", "efficientnet_lite0_309um_rot", "color_texture")
SETTINGS = LowRankSettings(
    n_loadings=(8,), shared_loadings=((0.5, 4), (1.0, 4)), penalties=(0.3, 0.03), ranks=(1, 2), n_averaged=3
)
ONE = LowRankSettings(depth_exponents=(0.5,), n_loadings=(5,), penalties=(0.03,), ranks=(2,), n_averaged=1)


def low_rank(settings=SETTINGS, blocks="m224", *, counts_only=False) -> LowRankPredictor:
    return LowRankPredictor(blocks, settings, counts_only=counts_only)


@pytest.fixture
def planted(planted_section):
    """Builder of sections with every encoder; features differ between encoders."""

    def build(name: str, n_spots: int = 48) -> TrainSection:
        section = planted_section(name, n_spots, encoders=ENCODERS)
        rng = np.random.default_rng(len(name))
        features = {
            encoder: block + np.float32(0.3) * rng.normal(size=block.shape).astype(np.float32)
            for encoder, block in section.image.features.items()
        }
        return replace(section, image=replace(section.image, features=features))

    return build


@pytest.fixture
def request_of(planted, planted_panel):
    """Training job on the named sections, or on the sections given."""

    def build(*sections, target="per_spot", **options) -> FitRequest:
        built = [planted(s) if isinstance(s, str) else s for s in sections]
        return FitRequest(built, planted_panel, target, **options)

    return build


def blind(section: TrainSection) -> TrainSection:
    return replace(section, image=replace(section.image, features={}))


def within(rows):
    return rows - rows.mean(axis=0)


def recipe(request: FitRequest, blocks, candidate: Candidate, query, *, centre_on_query: bool):
    """Accuracy.md 6 for one setting, in the primal and with loops: deviations in units of a gene's spread."""
    sections = request.sections
    columns, query_columns = [], []
    for block in blocks:
        parts = [block.of(s.image) for s in sections]
        sd = np.sqrt(np.concatenate([within(p) for p in parts]).var(axis=0))
        sd[sd < 1e-9] = np.inf
        centre = block.of(query).mean(axis=0) if centre_on_query else np.mean([p.mean(axis=0) for p in parts], axis=0)
        share = np.sqrt(parts[0].shape[1] * len(blocks))
        columns.append(np.concatenate([np.clip(within(p) / sd, -8, 8) for p in parts]) / share)
        query_columns.append(np.clip((block.of(query) - centre) / sd, -8, 8) / share)
    z, z_query = np.concatenate(columns, axis=1), np.concatenate(query_columns, axis=1)
    targets, weights = [], []
    for section in sections:
        y = to_target(section.counts, request.panel, request.target).astype(np.float64)
        targets.append(within(y) / (y.std(axis=0) + 1e-3))
        umis = section.counts.of(request.panel).sum(axis=1)
        weights.append(np.minimum(1, (umis + 1) / np.median(umis)) ** candidate.depth_exponent / len(y))
    y, w = np.concatenate(targets), np.concatenate(weights)
    w = w / w.mean()
    *_, loadings = np.linalg.svd(np.sqrt(w)[:, None] * y, full_matrices=False)
    t = y @ loadings[: candidate.n_loadings].T
    penalty = 10 * candidate.penalty * np.trace(np.sqrt(np.outer(w, w)) * (z @ z.T)) / len(z)
    b = np.linalg.solve(z.T @ (w[:, None] * z) + penalty * np.eye(z.shape[1]), z.T @ (w[:, None] * t))
    *_, v = np.linalg.svd(z @ b, full_matrices=False)
    v = v[: candidate.rank]
    return z_query @ b @ v.T @ v @ loadings[: candidate.n_loadings]


@pytest.mark.parametrize("blocks", ["m224", "tcg"])
def test_predictions_equal_a_straightforward_computation(blocks, request_of, planted) -> None:
    request, query = request_of("A1", planted("A2", 32), "B1"), planted("C9").image
    predicted = low_rank(ONE, blocks).fit(request).predict(query)
    candidate = Candidate(0.5, 0.0, 5, 0.03, 2)
    raw = [to_target(s.counts, request.panel, "per_spot").astype(np.float64) for s in request.sections]
    mean, spread = np.mean([y.mean(axis=0) for y in raw], axis=0), np.mean([y.std(axis=0) for y in raw], axis=0)
    absolute = recipe(request, BLOCK_SETS[blocks], candidate, query, centre_on_query=False)
    relative = recipe(request, BLOCK_SETS[blocks], candidate, query, centre_on_query=True)
    np.testing.assert_allclose(predicted.values, mean + spread * absolute, atol=1e-5)
    np.testing.assert_allclose(predicted.components["relative"], spread * relative, atol=1e-5)
    assert predicted.values.dtype == predicted.components["relative"].dtype == np.float32


def test_settings_are_averaged_at_equal_spread(request_of, planted) -> None:
    request, query = request_of("A1", "B1"), planted("C9").image
    settings = LowRankSettings(depth_exponents=(0.0,), n_loadings=(5,), penalties=(1.0, 0.01), ranks=(1,), n_averaged=2)
    weak, strong = (
        low_rank(settings.model_copy(update={"penalties": (penalty,), "n_averaged": 1})).fit(request)
        for penalty in settings.penalties
    )
    parts = [fitted.predict(query).components["relative"] for fitted in (weak, strong)]
    own = [
        np.concatenate([f.predict(s.image).components["relative"] / f.spread for s in request.sections])
        for f in (weak, strong)
    ]
    spreads = [np.sqrt((rows**2).mean()) for rows in own]
    expected = np.mean([part * np.mean(spreads) / spread for part, spread in zip(parts, spreads, strict=True)], axis=0)
    averaged = low_rank(settings).fit(request).predict(query).components["relative"]
    np.testing.assert_allclose(averaged, expected, atol=1e-5)


def test_the_planted_link_is_found_in_an_unseen_section(request_of, planted, planted_panel) -> None:
    query = planted("C9")
    predicted = low_rank().fit(request_of("A1", "B1", "B2")).predict(query.image)
    assert pearson_per_gene(to_target(query.counts, planted_panel, "per_spot"), predicted.values).mean() > 0.6


def test_few_directions_beat_ridge_where_many_noisy_genes_share_two(planted) -> None:
    panel = Panel("many", tuple(f"g{k}" for k in range(150)))
    rng = np.random.default_rng(0)
    loadings, mixing = rng.normal(size=(2, 150)), rng.normal(size=(2, 60))

    def section(name: str) -> TrainSection:
        base = planted(name, 80)
        tissue = rng.normal(size=(80, 2))
        features = (tissue @ mixing + 3 * rng.normal(size=(80, 60))).astype(np.float32)
        counts = rng.poisson(np.exp(0.5 + 0.25 * tissue @ loadings))
        image = replace(base.image, features={"efficientnet_lite0": features})
        return TrainSection(image, Counts(sparse.csr_matrix(counts), panel.genes))

    request, query = FitRequest([section(n) for n in ("A1", "A2", "B1")], panel, "per_spot"), section("C1")
    truth = to_target(query.counts, panel, "per_spot")
    ridge = RidgePredictor(("efficientnet_lite0",), RidgeSettings(), "m224").fit(request).predict(query.image)
    ours = low_rank(LowRankSettings()).fit(request).predict(query.image)
    assert pearson_per_gene(truth, ours.values).mean() > pearson_per_gene(truth, ridge.values).mean() + 0.01


def test_cropping_the_slide_changes_no_absolute_prediction(request_of, planted) -> None:
    fitted, query = low_rank().fit(request_of("A1", "B1")), planted("C9").image
    half = np.arange(20)
    whole, part = fitted.predict(query), fitted.predict(query.rows(half))
    np.testing.assert_allclose(part.values, whole.values[half], atol=1e-6)
    shift = part.components["relative"] - whole.components["relative"][half]
    assert np.abs(shift).max() > 1e-3
    np.testing.assert_allclose(shift, np.tile(shift[0], (20, 1)), atol=1e-5)


def test_relative_predictions_differ_from_absolute_ones_by_a_constant_a_gene(request_of, planted) -> None:
    predicted = low_rank().fit(request_of("A1", "B1")).predict(planted("C9").image)
    relative = predicted.components["relative"]
    np.testing.assert_allclose(relative.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(within(predicted.values), within(relative), atol=1e-5)


def test_a_freak_value_is_cut_not_followed(request_of, planted) -> None:
    fitted, query = low_rank().fit(request_of("A1", "B1")), planted("C9").image

    def first_spot(value: float):
        block = query.features["efficientnet_lite0"].copy()
        block[0, 0] = value
        return fitted.predict(replace(query, features={"efficientnet_lite0": block})).values[0]

    np.testing.assert_array_equal(first_spot(1e4), first_spot(1e6))


def test_the_best_inner_settings_are_averaged(request_of) -> None:
    choice = low_rank().fit(request_of("A1", "B1", "C1")).config["choice"]
    curve = choice["inner_curve"]
    assert len(curve) == 2 * 1 * 2 * 2
    scores = sorted((point.pop("pearson") for point in map(dict, curve)), reverse=True)
    score_of = {json.dumps({k: v for k, v in p.items() if k != "pearson"}): p["pearson"] for p in curve}
    assert [score_of[json.dumps(setting)] for setting in choice["averaged"]] == scores[:3]


@pytest.mark.parametrize(
    ("names", "options", "unit"),
    [
        (("A1", "B1"), {}, "patient"),
        (("A1", "A2", "B1"), {"split_unit": "section"}, "section"),
        (("A1", "A2"), {}, "section"),
        (("A1",), {}, "quadrant"),
    ],
)
def test_the_inner_split_that_was_used_is_recorded(request_of, planted, names, options, unit) -> None:
    fitted = low_rank(blocks="tcg").fit(request_of(*names, **options))
    assert fitted.config["choice"]["inner_unit"] == unit
    assert len(fitted.config["choice"]["split_digest"]) == 64
    assert np.isfinite(fitted.predict(planted("C9").image).values).all()


def test_a_tie_takes_the_more_cautious_setting(request_of) -> None:
    # Under one gene direction every rank and penalty predicts the same pattern up to scale.
    settings = LowRankSettings(depth_exponents=(0.0,), n_loadings=(1,), penalties=(0.1,), ranks=(3, 1), n_averaged=1)
    (best,) = low_rank(settings).fit(request_of("A1", "B1")).config["choice"]["averaged"]
    assert best["rank"] == 1


def test_weights_do_not_grow_with_training_spots(request_of) -> None:
    few, many = (low_rank(ONE).fit(request_of(*names)).state() for names in (("A1", "B1"), ("A1", "B1", "B2", "C1")))
    assert {n: a.shape for n, a in few.weights.items()} == {n: a.shape for n, a in many.weights.items()}
    assert few.weights["coefficients"].shape == (10, 2)
    assert not many.bank


def test_spots_without_counts_are_learnt_from(request_of, planted) -> None:
    section = planted("A1")
    emptied = section.counts.matrix.toarray()
    emptied[:30] = 0
    sparse_counts = replace(section, counts=Counts(sparse.csr_matrix(emptied), section.counts.genes))
    predicted = low_rank().fit(request_of(sparse_counts, "B1")).predict(planted("C9").image)
    assert np.isfinite(predicted.values).all()


def test_isolated_spots_are_predicted(request_of, planted) -> None:
    query = planted("C9").image
    lonely = replace(query, pixel_xy=query.pixel_xy * 50)
    predicted = low_rank(blocks="tcg").fit(request_of("A1", "B1")).predict(lonely)
    assert np.isfinite(predicted.values).all()


def test_features_that_never_vary_predict_the_training_mean(request_of, planted, planted_panel) -> None:
    def flat(name):
        section = planted(name)
        block = np.full_like(section.image.features["efficientnet_lite0"], 3)
        block[0, 0] += 1e-7
        return replace(section, image=replace(section.image, features={"efficientnet_lite0": block}))

    fitted = low_rank(ONE).fit(request_of(flat("A1"), flat("B1")))
    np.testing.assert_array_equal(fitted.predict(planted("C9").image).values, np.tile(fitted.mean, (48, 1)))


def test_sections_without_an_image_are_left_aside(request_of, planted) -> None:
    query = planted("E1").image
    alone = low_rank().fit(request_of("A1", "B1")).predict(query)
    with_blind = low_rank().fit(request_of("A1", "B1", blind(planted("D1")))).predict(query)
    np.testing.assert_array_equal(with_blind.values, alone.values)


def test_a_search_in_which_nothing_is_defined_is_refused(request_of, planted) -> None:
    with pytest.raises(SplitError, match=r"no inner correlation is defined.*unit=section"):
        low_rank().fit(request_of(planted("A1", 1), planted("A2", 1)))


def test_features_of_another_width_are_refused(request_of, planted) -> None:
    fitted, query = low_rank().fit(request_of("A1", "B1")), planted("C9").image
    narrow = {"efficientnet_lite0": query.features["efficientnet_lite0"][:, :4]}
    with pytest.raises(MissingArtifactError, match=r"another width.*section=toy/C9, expected=\(10,\), found=\(4,\)"):
        fitted.predict(replace(query, features=narrow))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("blocks", [["efficientnet_lite0", "wide"]]),
        ("blocks", [["other", 10]]),
        ("blocks", None),
        ("settings", {"clip": None}),
        ("settings", None),
    ],
)
def test_a_state_of_other_blocks_or_scaling_is_refused(field, change, request_of) -> None:
    predictor = low_rank()
    state = predictor.fit(request_of("A1", "B1")).state()
    with pytest.raises(CheckpointError):
        predictor.load(replace(state, config={**state.config, field: change}))


def test_a_loaded_model_gives_the_same_bytes(request_of, planted, tmp_path) -> None:
    predictor, query = low_rank(blocks="tcg", counts_only=True), planted("C9").image
    fitted = predictor.fit(request_of("A1", "B1", counts_only=[blind(planted("D1"))]))
    save_state(fitted.state(), tmp_path)
    loaded = predictor.load(load_state(tmp_path))
    for one, other in ((fitted.predict(query), loaded.predict(query)), (fitted.predict(query), fitted.predict(query))):
        assert one.values.tobytes() == other.values.tobytes()
        assert one.components["relative"].tobytes() == other.components["relative"].tobytes()


# Counts-only sections


def test_counts_only_sections_shape_the_directions_of_the_profile_that_asks_for_them(request_of, planted) -> None:
    plain, query = request_of("A1", "B1"), planted("C9").image
    given = replace(plain, counts_only=[blind(planted("D1")), blind(planted("E1"))])
    fitted = low_rank(counts_only=True).fit(given)
    assert [row["section"] for row in fitted.config["counts_only"]] == ["toy/D1", "toy/E1"]
    assert {point["shared"] for point in fitted.config["choice"]["inner_curve"]} == {0.0, 0.5, 1.0}
    only_shared = low_rank(ONE.model_copy(update={"n_loadings": (1,), "n_averaged": 1}), counts_only=True)
    assert (only_shared.fit(given).predict(query).values != only_shared.fit(plain).predict(query).values).any()
    ignoring = low_rank()
    np.testing.assert_array_equal(ignoring.fit(given).predict(query).values, ignoring.fit(plain).predict(query).values)


def test_without_counts_only_sections_their_profile_is_the_plain_one(request_of, planted) -> None:
    query = planted("C9").image
    plain, shared = (low_rank(counts_only=wanted).fit(request_of("A1", "B1")) for wanted in (False, True))
    np.testing.assert_array_equal(plain.predict(query).values, shared.predict(query).values)
    assert shared.config["counts_only"] == []
    assert {point["shared"] for point in shared.config["choice"]["inner_curve"]} == {0.0}


def test_counts_of_patients_in_training_are_left_to_the_training_sections(
    request_of, planted, planted_panel, monkeypatch
) -> None:
    seen = []
    original = Training.of.__func__

    def spy(cls, sections, blocks, request, clip, shared):
        seen.append(shared)
        return original(cls, sections, blocks, request, clip, shared)

    monkeypatch.setattr(Training, "of", classmethod(spy))
    extra = [blind(planted(name)) for name in ("A9", "B9", "D1", "E1")]
    fitted = low_rank(counts_only=True).fit(request_of("A1", "B1", counts_only=extra))
    assert [row["patient"] for row in fitted.config["counts_only"]] == ["D", "E"]
    # Among the splits is one that leaves A out and one that leaves B out: neither sees its counts.
    assert len(seen) == 3
    for shared in seen:
        np.testing.assert_array_equal(shared, shared_correlation(extra[2:], planted_panel, "per_spot"))


def test_an_equal_patient_id_in_another_cohort_is_another_patient(request_of, planted_section) -> None:
    other = blind(planted_section("A1", cohort="elsewhere"))
    fitted = low_rank(counts_only=True).fit(request_of("A1", "A2", counts_only=[other]))
    assert [row["section"] for row in fitted.config["counts_only"]] == ["elsewhere/A1"]


def test_the_shared_correlation_is_the_mean_over_sections(planted, planted_panel) -> None:
    sections = [planted(name) for name in ("A1", "A2", "B1")]
    genes = [to_target(s.counts, planted_panel, "per_spot").T for s in sections]
    shared = shared_correlation(sections, planted_panel, "per_spot")
    np.testing.assert_allclose(shared, np.mean([np.corrcoef(y) for y in genes], axis=0), atol=0.02)
    assert shared_correlation([], planted_panel, "per_spot") is None


def test_a_section_with_counts_is_refused(request_of, planted) -> None:
    with pytest.raises(LeakageError, match=r"predict takes ImageSection.*found=TrainSection"):
        low_rank().fit(request_of("A1", "B1")).predict(planted("C9"))
