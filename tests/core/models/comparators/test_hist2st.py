"""Hist2ST is what its publication describes, part by part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

from gr2st_core.comparator_settings.hist2st import SMALL as SHIPPED
from gr2st_core.comparator_settings.hist2st import Hist2STSettings
from gr2st_core.models.comparators.distillation import changed
from gr2st_core.models.comparators.hist2st.network import Hist2STNetwork
from gr2st_core.models.comparators.hist2st.stem import MixerBlock, MixerStem
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth

PUBLISHED = Hist2STSettings()
SMALL = SHIPPED.model_copy(update={"n_passes": 2, "zinb_weight": 0.25})  # the loss as published
PIXELS = (3, SMALL.input_px, SMALL.input_px)


def n_parameters(module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def section(row_shape=PIXELS, n_spots=9) -> SectionInputs:
    """Spots of a square grid of three columns."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.tensor([[spot % 3, spot // 3] for spot in range(n_spots)])
    spots = torch.randint(0, 256, (n_spots, *row_shape), generator=generator, dtype=torch.uint8)
    return SectionInputs(spots if len(row_shape) > 1 else spots / 255, grid, grid.float())


def truth_of(n_spots=9, n_genes=5) -> SectionTruth:
    generator = torch.Generator().manual_seed(1)
    counts = torch.poisson(torch.full((n_spots, n_genes), 1.5), generator=generator)
    return SectionTruth(torch.rand(n_spots, n_genes, generator=generator), counts, 0.5 + torch.rand(n_spots))


def test_the_published_setting_has_75_8_million_parameters_with_all_heads() -> None:
    with torch.device("meta"):
        network = Hist2STNetwork(PUBLISHED, (3, 112, 112), 785)
    assert n_parameters(network) == 75_789_833
    tile = 3 * 7 * 7 * 32 + 32
    mixer = 2 * (25 * 32 + 32 + 2 * 32) + 32 * 32 + 32 + 2 * 32
    assert n_parameters(network.stem) == tile + 2 * mixer + 32 * 4 + 4
    attention = 4 * 1024 * 1024 + 1024 + 2 * (1024 * 1024 + 1024) + 2 * 2 * 1024
    assert n_parameters(network.blocks) == 8 * attention
    assert n_parameters(network.graph) == 4 * 1024 * 1024
    assert n_parameters(network.jump) == 2 * 4 * (2 * 1024 * 1024 + 2 * 1024)
    assert n_parameters(network.head) == 2 * 1024 + 1024 * 785 + 785
    assert n_parameters(network.zinb) == 3 * (1024 * 785 + 785)
    assert n_parameters(network.distillation) == 1024 * 1024 + 1024 + 1024 + 1


def test_the_published_loss_and_schedule() -> None:
    assert (PUBLISHED.zinb_weight, PUBLISHED.distillation_weight, PUBLISHED.n_passes) == (0.25, 0.5, 5)
    assert [PUBLISHED.rate(epoch) for epoch in (0, 49, 50, 349)] == pytest.approx([1e-5, 1e-5, 9e-6, 1e-5 * 0.9**6])


def test_a_published_patch_becomes_16_by_16_tiles_of_4_channels() -> None:
    stem = MixerStem(PUBLISHED).eval()
    patches = section((3, 112, 112), 2).spots
    shapes = []
    maps = patches.float()
    for layer in stem:
        maps = layer(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(32, 16, 16), (32, 16, 16), (32, 16, 16), (4, 16, 16), (1024,)]
    torch.testing.assert_close(stem(patches), maps)
    assert PUBLISHED.d_model == 1024


@torch.no_grad()
def test_a_mixer_convolves_within_channels_and_then_across() -> None:
    torch.manual_seed(0)
    block, maps = MixerBlock(3, 5).eval(), torch.randn(1, 3, 4, 4)
    first, second = block.within[0], block.within[3]
    across = block.across[0]

    def within(values, conv):
        padded = torch.nn.functional.pad(values, (2, 2, 2, 2))
        out = torch.zeros_like(values)
        for channel in range(3):
            for y in range(4):
                for x in range(4):
                    window = padded[0, channel, y : y + 5, x : x + 5]
                    out[0, channel, y, x] = (window * conv.weight[channel, 0]).sum() + conv.bias[channel]
        return torch.nn.functional.gelu(out / np.sqrt(1 + 1e-5))

    inner = maps + within(within(maps, first), second)
    mixed = torch.einsum("oi,niyx->noyx", across.weight[:, :, 0, 0], inner) + across.bias[:, None, None]
    torch.testing.assert_close(block(maps), torch.nn.functional.gelu(mixed) / np.sqrt(1 + 1e-5))


@pytest.mark.parametrize("row_shape", [PIXELS, (9,)])
def test_each_part_has_its_shape(row_shape) -> None:
    torch.manual_seed(0)
    network, inputs = Hist2STNetwork(SMALL, row_shape, 5).eval(), section(row_shape)
    rows = network.stem(inputs.spots)
    edges = network.edges(inputs)
    assert rows.shape == network.blocks(rows).shape == (9, SMALL.d_model)
    assert all(layer(rows, edges).shape == rows.shape for layer in network.graph)
    assert (len(network.blocks), len(network.graph)) == (SMALL.depth, SMALL.n_graph_layers)
    assert network.embedded(inputs, edges).shape == (9, SMALL.d_model)
    assert network(inputs).shape == (9, 5)


def test_neighbours_are_the_four_nearest_within_two_pitches() -> None:
    network, inputs = Hist2STNetwork(SMALL, (9,), 5), section((9,), 9)
    far = torch.cat([inputs.pitch_xy, torch.tensor([[9.0, 9.0]])])
    apart = SectionInputs(torch.cat([inputs.spots, inputs.spots[:1]]), torch.cat([inputs.grid, inputs.grid[:1]]), far)
    edges = network.edges(apart)
    assert sorted(edges[0, edges[1] == 4].tolist()) == [1, 3, 5, 7]
    assert 9 not in edges
    assert torch.isfinite(network.eval()(apart)).all()


@torch.no_grad()
def test_the_loss_is_the_weighted_sum_of_error_likelihood_and_agreement() -> None:
    torch.manual_seed(0)
    network, inputs, truth = Hist2STNetwork(SMALL, PIXELS, 5).eval(), section(), truth_of()
    torch.manual_seed(3)
    terms = network.loss_terms(inputs, truth)
    edges = network.edges(inputs)
    rows, predicted = network.embedded(inputs, edges), network(inputs)

    mse = float(np.mean((predicted.numpy() - truth.expression.numpy()) ** 2))

    zinb, log_likelihood = network.zinb(rows), []
    for spot in range(9):
        for gene in range(5):
            count, theta = float(truth.counts[spot, gene]), float(zinb.dispersion[spot, gene])
            mean = float(zinb.mean[spot, gene] * truth.size_factors[spot])
            dropout = float(zinb.dropout[spot, gene])
            likelihood = (1 - dropout) * nbinom.pmf(count, theta, theta / (theta + mean))
            log_likelihood.append(np.log(likelihood + dropout * (count == 0)))

    torch.manual_seed(3)
    weights, seen = [], []
    for _ in range(SMALL.n_passes):
        turned = SectionInputs(changed(inputs.spots), inputs.grid, inputs.pitch_xy)
        weights.append(network.distillation.score(network.embedded(turned, edges)).exp())
        seen.append(network(turned))
    mean = sum(weight * values for weight, values in zip(weights, seen, strict=True)) / sum(weights)
    distance = float(((mean - predicted) ** 2).mean())
    assert distance > 0

    assert set(terms) == {"mse", "zinb", "distillation", "total"}
    assert terms["mse"].item() == pytest.approx(mse, rel=1e-4)
    assert terms["zinb"].item() == pytest.approx(-np.mean(log_likelihood), rel=1e-4)
    assert terms["distillation"].item() == pytest.approx(distance, rel=1e-3)
    expected = mse - 0.25 * np.mean(log_likelihood) + 0.5 * distance
    assert terms["total"].item() == pytest.approx(expected, rel=1e-4)


def test_on_features_there_is_no_agreement_to_reach() -> None:
    torch.manual_seed(0)
    network, inputs, truth = Hist2STNetwork(SMALL, (9,), 5).eval(), section((9,)), truth_of()
    terms = {name: term.item() for name, term in network.loss_terms(inputs, truth).items()}
    assert set(terms) == {"mse", "zinb", "total"}
    assert terms["total"] == pytest.approx(terms["mse"] + 0.25 * terms["zinb"], rel=1e-5)
    assert network.distillation is None


@pytest.mark.parametrize("row_shape", [PIXELS, (9,)])
def test_every_parameter_learns(row_shape) -> None:
    torch.manual_seed(0)
    network = Hist2STNetwork(SMALL, row_shape, 5).train()
    for _ in range(12):  # patches of a step may all be changed alike, and then no pass is better than another
        network.loss_terms(section(row_shape), truth_of())["total"].backward()
    silent = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert set(silent) <= {"distillation.score.2.bias"}, "it shifts all scores alike"
