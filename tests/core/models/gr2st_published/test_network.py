"""The network: size, what trains, invariances, the optimisers."""

import numpy as np
import pytest
import torch

from gr2st_core.models.gr2st.fitted import stored_array
from gr2st_core.models.gr2st_published.batch import as_batch, table_rows
from gr2st_core.models.gr2st_published.learner import learning_rate, weighted
from gr2st_core.models.gr2st_published.network import build_network
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings

PUBLISHED = {"r1": (2_962_795, Gr2stR1Settings()), "r2": (2_962_795 + 1_638_892, Gr2stR2Settings())}


def test_the_network_has_the_published_size_apart_from_the_position_tables(profile):
    others, settings = PUBLISHED[profile]
    with torch.device("meta"):
        network = build_network(settings, d_features=1024, n_genes=785)
    assert network.spot.column.weight.shape == network.spot.row.weight.shape == (64, 785)
    n_parameters = sum(p.numel() for p in network.parameters())
    assert n_parameters == others + 2 * 64 * 785
    assert n_parameters < 5e6


def test_a_checkpoint_is_below_13_megabytes_on_multi_stage_features(profile):
    network = build_network(PUBLISHED[profile][1], d_features=2272, n_genes=785)
    assert sum(stored_array(tensor).nbytes for tensor in network.state_dict().values()) < 13e6


def test_rows_in_use_of_a_published_position_table_give_the_same_output(profile, typed_section, make_learner):
    large, small = (make_learner(profile, typed_section("A1"), n_positions=n) for n in (65_536, 12))
    values = large.network.state_dict()
    for name in ("spot.column.weight", "spot.row.weight"):
        assert values[name].shape == (65_536, 12)
        values[name] = values[name][:12]
    small.network.load_state_dict(values)
    outputs = [learner.network.eval().loss_terms(learner.batches[0]) for learner in (large, small)]
    assert all(torch.equal(outputs[0][name], outputs[1][name]) for name in outputs[0])
    assert torch.equal(*(learner.network.embed_batch(learner.batches[0]) for learner in (large, small)))


def test_shuffled_spots_leave_every_loss_term_unchanged(profile, typed_section, make_learner, planted_panel):
    # R1's ties between equal distances are broken by position, so they cannot depend on the order of the spots
    section = typed_section("A1")
    learner = make_learner(profile, section)
    shuffled = section.rows(np.random.default_rng(0).permutation(section.image.n_spots))
    batch = as_batch(shuffled, learner.scaler, planted_panel, learner.settings, torch.device("cpu"))
    one, other = (learner.network.eval().loss_terms(b) for b in (learner.batches[0], batch))
    assert set(one) == ({"contrastive"} if profile == "r1" else {"contrastive", "mse", "gate", "attention"})
    for term, value in one.items():
        assert torch.allclose(value, other[term], rtol=1e-5, atol=1e-5), term


def test_tail_alone_gets_no_gradient_and_never_moves(profile, typed_section, make_learner):
    learner = make_learner(profile, typed_section("A1"))
    before = {name: p.detach().clone() for name, p in learner.network.named_parameters()}
    weighted(learner.network.loss_terms(learner.batches[0]), learner.settings).backward()
    without = {name for name, p in learner.network.named_parameters() if p.grad is None}
    assert without == {"spot.tail.weight", "spot.tail.bias"}
    learner.step(0, 0)
    still = {name for name, p in learner.network.named_parameters() if torch.equal(p, before[name])}
    assert still == without


def test_r1_starts_its_optimiser_anew_in_each_epoch_and_r2_never(profile, typed_section, make_learner):
    learner = make_learner(profile, typed_section("A1"))
    for epoch in range(3):
        for _ in range(2):
            learner.step(0, epoch)
    steps = {float(state["step"]) for state in learner.optimiser.state.values()}
    assert steps == ({2.0} if profile == "r1" else {6.0})


def test_the_optimiser_is_adam_with_l2_decay_and_r2_slows_down_late(profile, typed_section, make_learner):
    learner = make_learner(profile, typed_section("A1"))
    assert type(learner.optimiser) is torch.optim.Adam
    assert learner.optimiser.param_groups[0]["weight_decay"] == 1e-3
    published = Gr2stR2Settings()
    assert [learning_rate(epoch, published) for epoch in (0, 149, 150, 199)] == [1e-4, 1e-4, 1e-5, 1e-5]
    learner.step(0, 5)
    assert learner.optimiser.param_groups[0]["lr"] == (3e-3 if profile == "r1" else 1e-5)


def test_a_step_without_a_finite_loss_changes_nothing(profile, typed_section, make_learner):
    learner = make_learner(profile, typed_section("A1"))
    learner.batches[0].expression[0, 0] = torch.inf
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    assert not np.isfinite(learner.step(0, 0)["total"])
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.network.state_dict().items())


def test_positions_are_the_grid_itself_unless_the_tables_are_too_small():
    grid = np.array([[6.0, 13.0], [29.0, 31.0]])
    assert table_rows(grid, 64).tolist() == [[6, 13], [29, 31]]
    assert table_rows(grid, 30).tolist() == [[0, 0], [23, 18]]
    assert table_rows(np.array([[-1.0, 0.0], [100.0, 50.0]]), 64).max() == 63


@pytest.mark.parametrize("kind", ["isolated", "empty"])
def test_an_isolated_spot_and_one_without_counts_train_to_finite_numbers(profile, kind, typed_section, make_learner):
    import dataclasses

    from scipy import sparse

    from gr2st_core.types import Counts

    section = typed_section("A1")
    if kind == "isolated":
        array_xy = section.image.array_xy.copy()
        array_xy[0] = (11, 11)
        section = dataclasses.replace(section, image=dataclasses.replace(section.image, array_xy=array_xy))
    else:
        counts = section.counts.matrix.toarray()
        counts[0] = 0
        section = dataclasses.replace(section, counts=Counts(sparse.csr_matrix(counts), section.counts.genes))
    learner = make_learner(profile, section)
    for epoch in range(2):
        assert all(np.isfinite(value) for value in learner.step(0, epoch).values())
    assert learner.network.eval().embed_batch(learner.batches[0]).isfinite().all()
