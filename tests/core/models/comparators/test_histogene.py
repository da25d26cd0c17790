"""HisToGene is what its publication describes, part by part."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from gr2st_core.comparator_settings.histogene import SMALL, HisToGeneSettings
from gr2st_core.models.comparators.attention import PreNormBlock
from gr2st_core.models.comparators.histogene.network import HisToGeneNetwork
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.positions import XYEmbedding


def n_parameters(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def section(row_shape, n_spots=6) -> SectionInputs:
    generator = torch.Generator().manual_seed(0)
    grid = torch.randint(0, 30, (n_spots, 2), generator=generator)
    spots = torch.randint(0, 256, (n_spots, *row_shape), generator=generator, dtype=torch.uint8)
    return SectionInputs(spots if len(row_shape) > 1 else spots / 255, grid, grid.float())


def test_the_published_setting_has_106_6_million_parameters() -> None:
    with torch.device("meta"):
        network = HisToGeneNetwork(HisToGeneSettings(), (3, 112, 112), 785)
    assert n_parameters(network) == 106_648_337
    projection = 3 * 112 * 112 * 1024 + 1024
    places = 2 * 64 * 1024
    attention = 3 * 1024 * 1024 + 1024 * 1024 + 1024
    mlp = 2 * 1024 * 2048 + 2048 + 1024
    norms = 2 * 2 * 1024
    head = 2 * 1024 + 1024 * 785 + 785
    assert n_parameters(network) == projection + places + 8 * (attention + mlp + norms) + head


@pytest.mark.parametrize("row_shape", [(3, 56, 56), (9,)])
def test_each_part_has_its_shape(row_shape) -> None:
    torch.manual_seed(0)
    network, inputs = HisToGeneNetwork(SMALL, row_shape, 11).eval(), section(row_shape)
    width = SMALL.d_model
    rows = network.project(inputs.spots.flatten(1).float())
    assert rows.shape == network.place(inputs.grid).shape == network.blocks(rows).shape == (6, width)
    assert len(network.blocks) == SMALL.depth
    assert network(inputs).shape == (6, 11)


def attended_by_hand(rows, attention):
    """Attention with explicit loops over heads, queries and keys."""
    n_heads, d_head = attention.n_heads, attention.d_head
    width = n_heads * d_head
    to_key, to_value = attention.to_key_value.weight[:width], attention.to_key_value.weight[width:]
    out = torch.zeros(len(rows), width)
    for head in range(n_heads):
        part = slice(head * d_head, (head + 1) * d_head)
        for query_spot, query_row in enumerate(rows):
            query = attention.to_query.weight[part] @ query_row
            scores = [float(query @ (to_key[part] @ row)) / math.sqrt(d_head) for row in rows]
            total = sum(map(math.exp, scores))
            for score, row in zip(scores, rows, strict=True):
                out[query_spot, part] += math.exp(score) / total * (to_value[part] @ row)
    last = attention.out[0]
    return out @ last.weight.T + last.bias


@torch.no_grad()
def test_a_block_is_attention_and_a_network_of_two_layers_each_added() -> None:
    torch.manual_seed(0)
    block, rows = PreNormBlock(8, n_heads=3, d_head=4, d_mlp=16, dropout=0.5).eval(), torch.randn(5, 8)
    for norm in (block.norm_attention, block.norm_mlp):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    first = layer_norm(rows, (8,), block.norm_attention.weight, block.norm_attention.bias)
    between = rows + attended_by_hand(first, block.attention)
    second = layer_norm(between, (8,), block.norm_mlp.weight, block.norm_mlp.bias)
    into, out = block.mlp[0], block.mlp[3]
    expected = between + gelu(second @ into.weight.T + into.bias) @ out.weight.T + out.bias
    torch.testing.assert_close(block(rows), expected)


@torch.no_grad()
def test_attention_reads_another_memory_where_one_is_given() -> None:
    torch.manual_seed(0)
    attention, rows, memory = PreNormBlock(8, 3, 4, 16, 0.0).attention, torch.randn(2, 8), torch.randn(5, 8)
    together = attended_by_hand(memory, attention)
    torch.testing.assert_close(attention(memory[:2], memory), together[:2])
    assert attention(rows, memory).shape == (2, 8)
    assert not torch.allclose(attention(rows, memory), attention(rows))


def test_a_place_is_the_sum_of_its_column_and_its_row() -> None:
    place = XYEmbedding(64, 5)
    embedded = place(torch.tensor([[3, 63], [63, 3]]))
    torch.testing.assert_close(embedded[0], place.x.weight[3] + place.y.weight[63])
    torch.testing.assert_close(embedded[1], place.x.weight[63] + place.y.weight[3])


def test_pixels_enter_as_they_are() -> None:
    torch.manual_seed(0)
    network, inputs = HisToGeneNetwork(SMALL, (3, 56, 56), 4).eval(), section((3, 56, 56), 1)
    pixels = inputs.spots[0].flatten().tolist()
    seen = (
        torch.tensor(pixels, dtype=torch.float32) @ network.project.weight.T
        + network.project.bias
        + network.place(inputs.grid)
    )
    torch.testing.assert_close(network(inputs), network.head(network.blocks(seen)), rtol=1e-3, atol=1e-3)


def test_the_loss_is_the_mean_squared_error() -> None:
    torch.manual_seed(0)
    network, inputs = HisToGeneNetwork(SMALL, (9,), 4).eval(), section((9,), 3)
    expression = torch.randn(3, 4)
    truth = SectionTruth(expression, torch.ones(3, 4), torch.ones(3))
    predicted = network(inputs).tolist()
    squares = [
        (mine - true) ** 2
        for row, truths in zip(predicted, expression.tolist(), strict=True)
        for mine, true in zip(row, truths, strict=True)
    ]
    terms = network.loss_terms(inputs, truth)
    assert set(terms) == {"mse", "total"}
    assert terms["total"].item() == pytest.approx(sum(squares) / 12, rel=1e-4)
