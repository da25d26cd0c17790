"""Groups of near spots that look alike, and convolution over them, against loops over single spots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gr2st_core.models.comparators.hypergraph import Hypergraph, HypergraphConv, alike_neighbours
from gr2st_core.models.comparators.neighbours import nearest_edges

N_ALIKE = 3


@pytest.fixture
def place():
    """Spots of a 5x4 grid and one far from all others, last."""
    grid = torch.stack(torch.meshgrid(torch.arange(5.0), torch.arange(4.0), indexing="ij"), dim=-1).flatten(0, 1)
    return torch.cat([grid, torch.tensor([[50.0, 50.0]])])


@pytest.fixture
def rows(place):
    return torch.randn(len(place), 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def graph(place, rows):
    return alike_neighbours(rows, nearest_edges(place, 8, 2.0), N_ALIKE)


def incidence(graph: Hypergraph) -> np.ndarray:
    """Spots by hyperedges, 1 where a spot is in a hyperedge."""
    matrix = np.zeros((len(graph.weights),) * 2)
    np.add.at(matrix, (graph.spots.numpy(), graph.hyperedges.numpy()), 1)
    return matrix


def test_a_hyperedge_holds_a_spot_and_the_neighbours_most_like_it(graph, place, rows) -> None:
    matrix, edges = incidence(graph), nearest_edges(place, 8, 2.0).numpy()
    assert set(np.unique(matrix)) == {0, 1}
    for spot in range(len(place)):
        near = edges[0][edges[1] == spot]
        unlikeness = np.linalg.norm(rows.numpy()[near] - rows.numpy()[spot], axis=1)
        assert set(np.flatnonzero(matrix[:, spot])) == {spot, *near[np.argsort(unlikeness)[:N_ALIKE]]}


def test_a_hyperedge_holds_the_neighbours_least_like_its_spot_where_it_is_told_to(place, rows) -> None:
    edges = nearest_edges(place, 8, 2.0)
    matrix = incidence(alike_neighbours(rows, edges, N_ALIKE, least=True))
    for spot in range(len(place)):
        near = edges[0][edges[1] == spot].numpy()
        unlikeness = np.linalg.norm(rows.numpy()[near] - rows.numpy()[spot], axis=1)
        assert set(np.flatnonzero(matrix[:, spot])) == {spot, *near[np.argsort(-unlikeness)[:N_ALIKE]]}


def test_a_hyperedge_weighs_what_its_own_members_are_alike(graph, place, rows) -> None:
    matrix, edges, values = incidence(graph), nearest_edges(place, 8, 2.0).numpy(), rows.numpy()
    scale = np.linalg.norm(values[edges[0]] - values[edges[1]], axis=1).mean()
    for spot, weight in enumerate(graph.weights.tolist()):
        members = np.flatnonzero(matrix[:, spot])
        alike = np.exp(-np.linalg.norm(values[members] - values[spot], axis=1) / scale)
        assert weight == pytest.approx(alike.mean(), rel=1e-5)


def test_a_lonely_spot_is_alone_in_its_hyperedge_with_full_weight(graph) -> None:
    assert np.flatnonzero(incidence(graph)[:, -1]).tolist() == [20]
    assert graph.weights[-1] == 1
    assert (graph.weights[:-1] < 1).all()


def test_spots_that_all_look_the_same_have_full_weight(place) -> None:
    graph = alike_neighbours(torch.ones(len(place), 6), nearest_edges(place, 8, 2.0), N_ALIKE)
    assert graph.weights.tolist() == [1.0] * len(place)


def test_the_order_of_spots_does_not_matter(place, rows, graph) -> None:
    order = torch.randperm(len(place), generator=torch.Generator().manual_seed(1))
    permuted = alike_neighbours(rows[order], nearest_edges(place[order], 8, 2.0), N_ALIKE)
    assert (incidence(permuted) == incidence(graph)[order][:, order]).all()
    torch.testing.assert_close(permuted.weights, graph.weights[order])


def test_no_gradient_passes_through_the_choice_of_members(place, rows) -> None:
    graph = alike_neighbours(rows.requires_grad_(), nearest_edges(place, 8, 2.0), N_ALIKE)
    assert not graph.weights.requires_grad


def test_a_convolution_is_the_product_of_its_matrices(graph, rows) -> None:
    torch.manual_seed(0)
    conv = HypergraphConv(6, 4)
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    matrix, weights = incidence(graph), np.diag(graph.weights.numpy())
    by_hyperedge = np.diag(1 / matrix.sum(axis=0)) @ matrix.T
    by_spot = np.diag(1 / (matrix @ weights).sum(axis=1)) @ matrix @ weights
    expected = by_spot @ by_hyperedge @ rows.numpy() @ conv.weight.weight.detach().numpy().T + [1, 2, 3, 4]
    np.testing.assert_allclose(conv(rows, graph).detach(), expected, atol=1e-5)


def test_a_single_spot_passes_through_its_own_hyperedge() -> None:
    rows = torch.ones(1, 6)
    graph = alike_neighbours(rows, nearest_edges(torch.zeros(1, 2), 8, 2.0), N_ALIKE)
    conv = HypergraphConv(6, 4)
    torch.testing.assert_close(conv(rows, graph), conv.weight(rows))
