"""Parts of GR2ST that settings can leave out, one by one."""

import dataclasses

import numpy as np
import pytest
import torch

from gr2st_core.errors import SettingsError
from gr2st_core.evaluation.metrics import is_constant, mean_of_defined, pearson_per_gene, zero_filled
from gr2st_core.models.blend.mixture import SectionMoments
from gr2st_core.models.blocks import blocks_named
from gr2st_core.models.gr2st.fitted import functional_edges
from gr2st_core.models.gr2st.learner import Gr2stLearner, loss_terms
from gr2st_core.models.gr2st.mixing import Mix, choose, mixes, scores_of
from gr2st_core.models.gr2st.predictor import Gr2stPredictor
from gr2st_core.settings import Gr2stSettings
from gr2st_core.training.loop import SCORE, Run

CPU = torch.device("cpu")
NAMES = ("A1", "A2", "B1")


@pytest.fixture
def learner_of(typed_section, planted_request, tiny):
    """Builder of a learner under changed settings."""

    def build(**changes) -> Gr2stLearner:
        sections = [typed_section("A1"), typed_section("B1")]
        settings = tiny.settings.model_copy(update=changes)
        blocks = blocks_named(("tiny",))
        return Gr2stLearner(sections, [], planted_request(*sections), blocks=blocks, settings=settings, device=CPU)

    return build


def _silent(learner: Gr2stLearner) -> set[str]:
    """Modules no parameter of which learns from the summed loss."""
    learner.step(0, 0)  # the head starts at zero
    learner.optimiser.zero_grad()
    sum(loss_terms(learner.network, *learner.train[0]).values()).backward()
    learns: dict[str, bool] = {}
    for name, parameter in learner.network.named_parameters():
        module = ".".join(name.split(".")[:2])
        own = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        learns[module] = learns.get(module, False) or own
    return {module for module, any_learns in learns.items() if not any_learns}


@pytest.mark.parametrize(
    ("changes", "silent"),
    [
        ({}, set()),
        (
            {"functional_graph": False},
            {"spot.head", "spot.tail", "spot.head_norm", "spot.tail_norm", "spot.functional"},
        ),
        ({"spatial_graph": False}, {"spot.place", "spot.spatial"}),
    ],
)
def test_a_graph_left_out_teaches_nothing(learner_of, changes, silent):
    assert _silent(learner_of(**changes)) == silent


def test_without_both_graphs_a_spot_is_embedded_alone(learner_of):
    learner = learner_of(functional_graph=False, spatial_graph=False)
    learner.network.eval()
    reference = learner.train[0][1]
    moved = reference.expression.clone()
    moved[1:] += 1.0
    with torch.no_grad():
        one, other = (
            learner.network.embed_reference(r)[0] for r in (reference, dataclasses.replace(reference, expression=moved))
        )
    assert torch.allclose(one[0], other[0], atol=1e-6)
    assert not torch.allclose(one[1], other[1], atol=1e-3)


def test_without_cell_types_classes_are_unknown_and_the_gate_is_not_taught(learner_of):
    learner = learner_of(cell_types=False)
    query, reference = learner.train[0]
    assert reference.classes.unique().tolist() == [0]
    assert "gate" not in loss_terms(learner.network, query, reference)


def test_what_is_left_out_does_not_move_the_first_values_of_the_rest(learner_of):
    states = [learner_of(**changes).network.state_dict() for changes in ({}, {"functional_graph": False})]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("weight", "term"),
    [("contrastive_weight", "contrastive"), ("mse_weight", "mse"), ("gate_weight", "gate")],
)
def test_a_loss_term_weighs_what_its_setting_says(learner_of, weight, term):
    terms = [learner_of(dropout=0.0, **{weight: value}).step(0, 0) for value in (0.0, 2.0)]
    assert terms[1]["total"] - terms[0]["total"] == pytest.approx(2 * terms[0][term], rel=1e-4)


def test_a_high_similarity_temperature_makes_all_pairs_equal(learner_of):
    learner = learner_of(similarity_temperature=1e6, cell_types=False)
    reference = learner.train[0][1]
    tower = learner.network.spot
    spots = tower.describe(reference.expression, reference.positions, reference.classes)
    _, weights = tower.functional_graph(spots, reference.classes)
    assert torch.allclose(weights, torch.full_like(weights, 0.7 * 0.5), atol=1e-4)


def test_a_model_without_the_functional_graph_has_no_edges(tiny, typed_section, planted_request):
    settings = tiny.settings.model_copy(update={"functional_graph": False, "epochs": 1})
    fitted = Gr2stPredictor(("tiny",), settings).fit(planted_request(*map(typed_section, NAMES)))
    with pytest.raises(SettingsError, match="functional_graph"):
        functional_edges(fitted, typed_section("A1"))


@pytest.mark.parametrize(
    ("changes", "component"),
    [
        ({"retrieval_weights": (1.0,), "mse_weight": 0.0, "gate_weight": 0.0}, "retrieval"),
        ({"retrieval_weights": (0.0,)}, "regression"),
    ],
)
def test_one_candidate_fixes_the_mixture(tiny, typed_section, planted_request, changes, component):
    predictor = Gr2stPredictor(("tiny",), tiny.settings.model_copy(update=changes))
    fitted = predictor.fit(planted_request(*map(typed_section, NAMES)))
    prediction = fitted.predict(typed_section("B2").image)
    assert prediction.weight == changes["retrieval_weights"][0]
    assert np.array_equal(prediction.values, prediction.components[component])


def test_every_candidate_is_scored_as_the_mixture_it_is():
    rng = np.random.default_rng(0)
    settings = Gr2stSettings(retrieval_weights=(0.0, 0.5, 1.0), top_ks=(3, 9))
    truths = [rng.normal(size=(30, 5)).astype(np.float32) for _ in range(2)]
    parts = [[truth + 2 * rng.normal(size=truth.shape) for _ in range(3)] for truth in truths]
    found = scores_of([SectionMoments.of(*pair) for pair in zip(truths, parts, strict=True)], settings)

    def scored(candidate: Mix) -> float:
        of_sections = []
        for truth, (regression, *retrievals) in zip(truths, parts, strict=True):
            mixed = candidate.of(regression, retrievals[settings.top_ks.index(candidate.top_k)])
            of_sections.append(mean_of_defined(zero_filled(pearson_per_gene(truth, mixed), is_constant(truth))))
        return float(np.mean(of_sections))

    assert len(found) == 6
    assert found == {mix.term: pytest.approx(scored(mix)) for mix in mixes(settings)}


def _run(settings: Gr2stSettings, scores: np.ndarray) -> Run:
    run = Run()
    for of_epoch in scores:
        terms = {mix.term: float(score) for mix, score in zip(mixes(settings), of_epoch, strict=True)}
        run.record([{"total": 1.0}], {SCORE: max(terms.values()), **terms})
    return run


def test_epoch_and_mixture_are_chosen_together_on_the_mean_over_splits():
    settings = Gr2stSettings(retrieval_weights=(0.0, 1.0), top_ks=(3,))
    one = _run(settings, np.array([[0.1, 0.9], [0.3, 0.4], [0.5, 0.2]]))
    other = _run(settings, np.array([[0.2, 0.1], [0.6, 0.8], [0.2, 0.3]]))
    alone, both = choose([one], settings), choose([one, other], settings)
    assert (alone.epoch, alone.mix) == (1, Mix(1.0, 3))
    assert (both.epoch, both.mix) == (2, Mix(1.0, 3))
    assert both.curve == pytest.approx((0.5, 0.6, 0.35))
    assert both.curve_mix == (Mix(1.0, 3), Mix(1.0, 3), Mix(0.0, 3))


def test_without_a_defined_score_the_last_epoch_and_the_first_candidate_are_taken():
    settings = Gr2stSettings(retrieval_weights=(0.0, 1.0), top_ks=(3,))
    chosen = choose([_run(settings, np.full((4, 2), np.nan))], settings)
    assert (chosen.epoch, chosen.mix) == (4, Mix(0.0, 3))


def test_a_lone_section_is_judged_on_all_its_quadrants(tiny, typed_section, planted_request):
    fitted = tiny.fit(planted_request(typed_section("A1")))
    stages = fitted.history["stage"].unique().tolist()
    inner = fitted.config["inner"]
    assert stages == ["inner", "inner_2", "inner_3", "inner_4", "refit"]
    assert len(set(inner["split_digests"])) == 4
    scores = fitted.history[fitted.history["term"] == fitted.mix.term]
    means = scores.groupby("epoch")["value"].mean()
    assert inner["curve"][inner["chosen_epoch"] - 1] == pytest.approx(means[inner["chosen_epoch"]])
    assert inner["curve"][inner["chosen_epoch"] - 1] == max(inner["curve"])
