"""The comparator at several resolutions sees neighbours and section, and its branches learn from what it predicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gr2st_core.comparator_settings.multires import SMALL, MultiresSettings
from gr2st_core.expression.targets import to_target
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.multires.branches import NeighbourBranch, surroundings
from gr2st_core.models.comparators.multires.network import BRANCHES, MultiresNetwork
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.settings import Settings
from samples.pictured import quick

N_FEATURES, N_GENES = 2272, 785
FEATURES, GENES, SIDE = 5, 4, 7
SPOTS = SIDE * SIDE
CENTRE = SPOTS // 2
TRIED = SMALL.model_copy(update={"n_neighbours": 30, "max_pitches": 2.9})


def linear(d_in: int, d_out: int) -> int:
    return d_in * d_out + d_out


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MultiresNetwork(TRIED, (FEATURES,), GENES).eval()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    grid = torch.cartesian_prod(torch.arange(SIDE), torch.arange(SIDE))
    return SectionInputs(torch.randn(SPOTS, FEATURES, generator=generator), grid, grid.float())


@pytest.fixture
def truth():
    values = torch.rand(SPOTS, GENES, generator=torch.Generator().manual_seed(2))
    return SectionTruth(values, values, torch.ones(SPOTS))


def test_the_full_network_has_the_parameters_of_its_description() -> None:
    with torch.device("meta"):
        network = MultiresNetwork(MultiresSettings(), (N_FEATURES,), N_GENES)
    norm = 2 * 512
    block = 4 * 512 * 512 + 512 + linear(512, 1024) + linear(1024, 512)
    expected = {
        "project": linear(N_FEATURES, 512) + norm,
        "neighbours": 2 * (block + 3 * norm) + norm + linear(2, 512) + linear(512, 512),
        "place": 2 * 64 * 512,
        "section": 2 * (block + 2 * norm) + norm,
        "fuse": linear(3 * 512, 512),
        "heads": 4 * linear(512, N_GENES),
    }
    found = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert found == expected
    assert sum(expected.values()) == 12_301_380


def test_each_part_has_its_shape(network, inputs) -> None:
    rows = network.project(inputs.spots)
    assert rows.shape == (SPOTS, TRIED.d_model)
    assert network.neighbours(rows, inputs.pitch_xy).shape == network.section(rows).shape == rows.shape
    assert network.fuse(torch.cat(3 * [rows], dim=1)).shape == rows.shape
    assert all(head(rows).shape == (SPOTS, GENES) for head in network.heads.values())
    assert network(inputs).shape == (SPOTS, GENES)


def test_surroundings_are_five_by_five_without_what_lies_beyond_the_edge(inputs) -> None:
    around, is_there = surroundings(inputs.pitch_xy, 30, 2.9)
    assert around.shape == is_there.shape == (SPOTS, 31)
    assert around[:, 0].tolist() == list(range(SPOTS))
    x, y = inputs.grid.T.tolist()
    for spot in range(SPOTS):
        near = [i for i in range(SPOTS) if abs(x[i] - x[spot]) <= 2 and abs(y[i] - y[spot]) <= 2]
        assert sorted(around[spot][is_there[spot]].tolist()) == near


@pytest.mark.parametrize(("settings", "n_inside"), [(MultiresSettings(), 30), (SMALL, 6)])
def test_surroundings_on_a_hexagonal_grid_are_as_wide_on_every_side(settings, n_inside) -> None:
    rows = torch.arange(9).float()
    x, y = torch.meshgrid(rows, rows, indexing="xy")
    pitch_xy = torch.stack([x + y % 2 / 2, y * 3**0.5 / 2], dim=2).flatten(0, 1)
    around, is_there = surroundings(pitch_xy, settings.n_neighbours, settings.max_pitches)
    middle = 4 * 9 + 4
    offsets = (pitch_xy[around[middle]] - pitch_xy[middle])[is_there[middle]]
    assert len(offsets) == 1 + n_inside
    torch.testing.assert_close(offsets.mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("n_spots", "width"), [(1, 1), (3, 3)])
def test_a_small_section_has_as_many_as_there_are(inputs, n_spots, width) -> None:
    around, is_there = surroundings(inputs.pitch_xy[:n_spots], 30, 2.9)
    assert around.shape == is_there.shape == (n_spots, width)


@pytest.mark.parametrize("spot", [CENTRE, 0])
def test_a_spot_is_told_where_its_neighbours_lie(network, inputs, spot) -> None:
    rows = network.project(inputs.spots)
    branch: NeighbourBranch = network.neighbours
    own = inputs.grid[spot]
    near = [i for i in range(SPOTS) if (inputs.grid[i] - own).abs().max() <= 2]
    memory = torch.stack([rows[i] + branch.offset((inputs.grid[i] - own).float()) for i in near])
    expected = branch.decoder(rows[spot : spot + 1], memory)
    torch.testing.assert_close(branch(rows, inputs.pitch_xy)[spot : spot + 1], expected)


@pytest.mark.parametrize(("view", "near", "far"), [("spot", 0, 0), ("neighbours", 1, 0), ("section", 1, 1)])
def test_each_branch_sees_as_far_as_it_should(network, inputs, view, near, far) -> None:
    def seen(changed: int) -> bool:
        spots = inputs.spots.clone()
        spots[changed] += 1
        other = SectionInputs(spots, inputs.grid, inputs.pitch_xy)
        return not torch.equal(network._views(other)[view][CENTRE], network._views(inputs)[view][CENTRE])

    assert seen(CENTRE)
    assert (seen(CENTRE + 2), seen(0)) == (bool(near), bool(far))


def test_the_loss_is_the_error_of_each_head_and_the_distance_from_the_fused_one(network, inputs, truth) -> None:
    terms = {name: term.item() for name, term in network.loss_terms(inputs, truth).items()}
    predicted = {name: network.heads[name](rows).detach() for name, rows in network._views(inputs).items()}
    errors = {name: ((values - truth.expression) ** 2).mean().item() for name, values in predicted.items()}
    distances = {name: ((predicted[name] - predicted["fused"]) ** 2).mean().item() for name in BRANCHES}
    assert terms["total"] == pytest.approx(
        errors["fused"] + sum(0.7 * errors[name] + 0.3 * distances[name] for name in BRANCHES), rel=1e-5
    )
    assert terms["distillation"] == pytest.approx(sum(distances.values()), rel=1e-5)
    assert [terms["mse"], *(terms[f"{name}_mse"] for name in BRANCHES)] == pytest.approx(
        [errors["fused"], *(errors[name] for name in BRANCHES)], rel=1e-5
    )


def test_every_head_starts_at_the_mean_of_the_training_spots(planted_section, planted_request) -> None:
    sections = [planted_section(name, encoders=M224) for name in ("A1", "B1", "B2")]
    request = planted_request(*sections)
    fitted = quick("multires_features_small", learning_rate=1e-9, weight_decay=0).fit(request)
    mean = np.concatenate([to_target(section.counts, request.panel, request.target) for section in sections]).mean(0)
    for head in fitted.network.heads.values():
        np.testing.assert_allclose(head.bias.detach().numpy(), mean, atol=1e-6)
    assert any("start at the mean" in note for note in fitted.state().config["notes"])


def test_the_fused_head_does_not_learn_from_its_branches(network, inputs, truth) -> None:
    network.loss_terms(inputs, truth)["total"].backward()
    head = network.heads["fused"]
    error = head(network._views(inputs)["fused"].detach()) - truth.expression
    torch.testing.assert_close(head.bias.grad, 2 * error.sum(dim=0) / error.numel())


def test_every_parameter_learns(network, inputs, truth) -> None:
    network.loss_terms(inputs, truth)["total"].backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_decay_is_kept_apart_from_the_gradient(network) -> None:
    optimiser = METHODS["multires_features"].build(Settings()).optimiser(network)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert optimiser.defaults["weight_decay"] == 0.01
