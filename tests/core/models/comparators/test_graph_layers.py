"""A convolution over a graph gathers from neighbours, and has an answer for a spot without any."""

from __future__ import annotations

import pytest
import torch

from gr2st_core.models.comparators.graph_layers import NeighbourMeanConv

EDGES = torch.tensor([[1, 2, 0, 0], [0, 0, 1, 2]])
"""Spots 1 and 2 are neighbours of spot 0; spot 3 has none."""


def by_hand(rows, weight, neighbours):
    mean = rows[neighbours].mean(dim=0)
    out = (weight @ mean).clamp(min=0)
    return out / out.norm()


@pytest.mark.parametrize("self_loop", [False, True])
def test_a_spot_reads_the_mean_of_its_neighbours(self_loop) -> None:
    torch.manual_seed(0)
    rows, conv = torch.randn(4, 5), NeighbourMeanConv(5, 6, self_loop=self_loop)
    out = conv(rows, EDGES)
    for spot, neighbours in enumerate(([1, 2], [0], [0])):
        sources = [*neighbours, spot] if self_loop else neighbours
        torch.testing.assert_close(out[spot], by_hand(rows, conv.weight.weight, sources))


@pytest.mark.parametrize("self_loop", [False, True])
def test_a_spot_without_neighbours_keeps_its_own_row(self_loop) -> None:
    torch.manual_seed(0)
    rows, conv = torch.randn(4, 5), NeighbourMeanConv(5, 6, self_loop=self_loop)
    torch.testing.assert_close(conv(rows, EDGES)[3], by_hand(rows, conv.weight.weight, [3]))
    alone = conv(rows[:1], EDGES[:, :0])
    torch.testing.assert_close(alone[0], by_hand(rows, conv.weight.weight, [0]))


def test_rows_that_nothing_activates_are_zero_with_finite_gradients() -> None:
    conv = NeighbourMeanConv(2, 3, self_loop=False)
    torch.nn.init.constant_(conv.weight.weight, -1.0)
    rows = torch.ones(4, 2, requires_grad=True)
    out = conv(rows, EDGES)
    assert out.tolist() == torch.zeros(4, 3).tolist()
    out.sum().backward()
    assert torch.isfinite(rows.grad).all()
