"""The learned graph joins each spot with those most similar to it."""

from __future__ import annotations

import math

import pytest
import torch

from gr2st_core.models.comparators.wikg import WiKG

WIDTH, K = 8, 6


@pytest.fixture
def graph():
    torch.manual_seed(0)
    return WiKG(WIDTH, K)


def leaky(values):
    return torch.where(values > 0, values, 0.01 * values)


def one_by_one(graph: WiKG, rows: torch.Tensor) -> torch.Tensor:
    """Compute spot by spot, edge by edge."""
    heads = [graph.to_head(row) for row in rows]
    tails = [graph.to_tail(row) for row in rows]
    mixed = []
    for head in heads:
        similarity = [(head @ tail).item() / math.sqrt(WIDTH) for tail in tails]
        nearest = sorted(range(len(rows)), key=lambda spot: -similarity[spot])[:K]
        strength = [math.exp(similarity[spot]) for spot in nearest]
        agreement = []
        for spot, own in zip(nearest, strength, strict=True):
            share = own / sum(strength)
            edge = share * tails[spot] + (1 - share) * head
            agreement.append(math.exp((tails[spot] @ torch.tanh(head + edge)).item()))
        around = sum(weight / sum(agreement) * tails[spot] for weight, spot in zip(agreement, nearest, strict=True))
        mixed.append(leaky(graph.of_sum(head + around)) + leaky(graph.of_product(head * around)))
    return torch.stack(mixed)


@pytest.mark.parametrize("n_spots", [20, 7, 6, 4, 1])
def test_a_spot_is_mixed_with_its_most_similar_ones(graph, n_spots) -> None:
    rows = 2 * torch.randn(n_spots, WIDTH)
    mixed = graph(rows)
    assert mixed.shape == rows.shape
    torch.testing.assert_close(mixed, one_by_one(graph, rows))


def test_spots_beyond_the_most_similar_do_not_matter(graph) -> None:
    rows = torch.randn(30, WIDTH)
    similarity = graph.to_head(rows[:1]) @ graph.to_tail(rows).T
    among = sorted({0, *similarity[0].topk(K).indices.tolist()})
    torch.testing.assert_close(graph(rows[among])[0], graph(rows)[0])


def test_equal_spots_are_interchangeable(graph) -> None:
    rows = torch.randn(4, WIDTH).repeat(5, 1)
    mixed = graph(rows)
    torch.testing.assert_close(mixed, mixed[:4].repeat(5, 1))
    order = torch.randperm(20)
    torch.testing.assert_close(graph(rows[order]), mixed[order])
