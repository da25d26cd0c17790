"""The radius graph on grids whose degrees are known."""

import numpy as np
import pytest
import torch

from gr2st_core.graphs.spatial import neighbour_mask, neighbour_mean, radius_edges, spatial_graph

GRID = np.stack(np.meshgrid(np.arange(9.0), np.arange(8.0)), axis=-1).reshape(-1, 2)


def test_an_interior_spot_of_a_square_grid_has_the_5_by_5_window():
    edges = radius_edges(GRID, 3.0)
    centre = int(np.flatnonzero((GRID == [4, 4]).all(axis=1))[0])
    senders = GRID[edges[0, edges[1] == centre]] - GRID[centre]
    assert len(senders) == 24 + 1
    assert np.abs(senders).max() == 2


def test_edges_are_symmetric_with_self_loops_sorted_by_receiver_then_sender():
    edges = radius_edges(GRID, 3.0)
    mask = neighbour_mask(edges, len(GRID))
    assert torch.equal(mask, mask.T)
    assert mask.diagonal().all()
    assert (np.lexsort((edges[0], edges[1])) == np.arange(edges.shape[1])).all()


@pytest.mark.parametrize(
    "moved",
    [
        GRID + np.array([1234.5, -77.0]),
        GRID @ np.array([[0.0, 1.0], [-1.0, 0.0]]),
        np.round(GRID * 290.3 + [511.7, 3020.2]) / 290.0,
        np.round(GRID * [288.5, 290.1]) / 289.3,
    ],
    ids=["translated", "rotated", "pixels", "anisotropic pixels"],
)
def test_the_same_edges_come_from_moved_turned_and_rounded_coordinates(moved):
    assert np.array_equal(radius_edges(moved, 3.0), radius_edges(GRID, 3.0))


def test_a_hexagonal_grid_has_thirty_neighbours_within_three_pitches():
    rows = np.arange(11)
    hexagonal = np.array([[x + 0.5 * (y % 2), y * 3**0.5 / 2] for y in rows for x in rows])
    edges = radius_edges(hexagonal, 3.0)
    assert np.bincount(edges[1]).max() == 30 + 1


def test_permuted_spots_have_permuted_edges():
    order = np.random.default_rng(0).permutation(len(GRID))
    mask = neighbour_mask(radius_edges(GRID, 3.0), len(GRID))
    assert torch.equal(neighbour_mask(radius_edges(GRID[order], 3.0), len(GRID)), mask[order][:, order])


def test_torch_geometric_data_carries_edges_and_distances():
    data = spatial_graph(GRID, 1.5)
    sender, receiver = data.edge_index
    expected = (data.pos[sender] - data.pos[receiver]).norm(dim=1)
    assert data.num_nodes == len(GRID)
    assert data.validate()
    assert torch.allclose(data.edge_attr[:, 0], expected)
    assert data.edge_attr.max() < 1.5


def test_the_neighbour_mean_of_an_isolated_spot_is_the_spot_itself():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 50.0]])
    values = torch.tensor([[1.0], [3.0], [7.0]])
    mean = torch.sparse.mm(neighbour_mean(radius_edges(places, 3.0), 3), values)
    assert mean.flatten().tolist() == [2.0, 2.0, 7.0]
