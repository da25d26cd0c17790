"""The network: size, gradients, invariances."""

import numpy as np
import pytest
import torch

from gr2st_core.models.blocks import blocks_named
from gr2st_core.models.gr2st.batch import fit_in_table
from gr2st_core.models.gr2st.learner import Gr2stLearner, cosine_rate, loss_terms
from gr2st_core.models.gr2st.network import build_network
from gr2st_core.settings import Gr2stSettings

CPU = torch.device("cpu")


@pytest.fixture
def learner(typed_section, planted_request, tiny):
    sections = [typed_section("A1"), typed_section("B1")]
    return Gr2stLearner(
        sections, [], planted_request(*sections), blocks=blocks_named(("tiny",)), settings=tiny.settings, device=CPU
    )


def test_default_network_is_below_five_million_parameters_with_small_position_tables():
    with torch.device("meta"):
        network = build_network(Gr2stSettings(), d_features=512, directions=torch.empty(785, 8))
    assert sum(p.numel() for p in network.parameters()) < 5e6
    assert network.spot.column.weight.shape == network.spot.row.weight.shape == (64, 785)


def test_both_projections_behind_the_functional_graph_learn(learner):
    query, reference = learner.train[0]
    loss_terms(learner.network, query, reference)["contrastive"].backward()
    for projection in (learner.network.spot.head, learner.network.spot.tail):
        assert projection.weight.grad.abs().max() > 0


def test_every_parameter_gets_a_gradient_from_the_summed_loss(learner):
    query, reference = learner.train[0]
    learner.step(0, 0)  # the head starts at zero, and what stands before it learns from the second step on
    learner.optimiser.zero_grad()
    sum(loss_terms(learner.network, query, reference).values()).backward()
    silent = [name for name, p in learner.network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert silent == []


def test_shuffled_spots_leave_every_loss_term_unchanged(learner, typed_section, planted_request):
    section = typed_section("A1")
    shuffled = section.rows(np.random.default_rng(0).permutation(section.image.n_spots))
    learner.network.eval()
    request = planted_request(section)
    one, other = (
        loss_terms(learner.network, *learner._pair(chosen, learner.scaler.within(chosen.image), request))
        for chosen in (section, shuffled)
    )
    assert one.keys() == other.keys() == {"contrastive", "mse", "attention", "gate"}
    for term, value in one.items():
        assert torch.allclose(value, other[term], atol=1e-5), term


def test_bias_norm_and_embedding_parameters_are_not_decayed(learner):
    decayed, free = (group["params"] for group in learner.optimiser.param_groups)
    names = {id(p): name for name, p in learner.network.named_parameters()}
    assert {names[id(p)] for p in free} >= {
        "log_scale",
        "spot.column.weight",
        "head.bias",
        "query.projection.norm.weight",
    }
    assert all(not names[id(p)].endswith("bias") for p in decayed)
    assert len(decayed) + len(free) == len(names)
    assert learner.optimiser.param_groups[1]["weight_decay"] == 0


def test_a_section_without_cell_types_trains_without_a_gate_term(planted_section, planted_request, tiny):
    section = planted_section("A1")
    learner = Gr2stLearner(
        [section], [], planted_request(section), blocks=blocks_named(("tiny",)), settings=tiny.settings, device=CPU
    )
    terms = learner.step(0, 0)
    assert "gate" not in terms
    assert terms["contrastive_chance"] == pytest.approx(np.log(48))


def test_a_step_without_a_finite_loss_changes_nothing(learner):
    with torch.no_grad():
        learner.train[0][1].expression[0, 0] = torch.inf
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    assert not np.isfinite(learner.step(0, 0)["total"])
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.network.state_dict().items())


def test_half_precision_autocast_agrees_with_full_precision(learner):
    query, reference = learner.train[0]
    learner.network.eval()
    with torch.no_grad():
        full = loss_terms(learner.network, query, reference)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = loss_terms(learner.network, query, reference)
    for term, value in full.items():
        assert float(half[term]) == pytest.approx(float(value), rel=0.03), term


def test_the_learning_rate_falls_along_half_a_cosine():
    settings = Gr2stSettings(epochs=100, learning_rate=1e-4, final_learning_rate=1e-5)
    assert cosine_rate(0, settings) == pytest.approx(1e-4)
    assert cosine_rate(50, settings) == pytest.approx(5.5e-5)
    assert 1e-5 < cosine_rate(99, settings) < 1.01e-5


def test_positions_are_pitches_from_the_corner_and_large_sections_shrink():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0)), axis=-1).reshape(-1, 2)
    assert fit_in_table(grid + np.array([100.2, -7.1]), 64).tolist() == grid.astype(int).tolist()
    wide = fit_in_table(np.array([[0.0, 0.0], [500.0, 250.0]]), 64)
    assert wide.tolist() == [[0, 0], [63, 32]]
