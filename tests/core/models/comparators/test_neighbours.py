"""A spot's neighbours are the nearest spots, whatever the order in which spots are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gr2st_core.models.comparators.neighbours import nearest_edges, order_by_place

GRID = torch.tensor([[x, y] for y in range(4) for x in range(5)], dtype=torch.float32)
"""Five columns by four rows; the spot of row y and column x is number 5 y + x."""


def senders(edges, receiver) -> list[int]:
    return edges[0, edges[1] == receiver].tolist()


@pytest.mark.parametrize("k", [1, 4, 7])
def test_a_spot_has_the_k_nearest_as_neighbours_and_not_itself(k) -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(0, 10, (30, 2))
    edges = nearest_edges(torch.from_numpy(points), k)
    assert edges.shape == (2, 30 * k)
    assert edges.dtype == torch.int64
    assert edges[1].tolist() == np.repeat(np.arange(30), k).tolist()
    for spot in range(30):
        distance = np.hypot(*(points - points[spot]).T)
        distance[spot] = np.inf
        joined = np.isin(np.arange(30), senders(edges, spot))
        assert not joined[spot]
        assert distance[joined].max() < distance[~joined].min() + 0.1, "distances are told apart to a tenth"


def test_farther_ones_than_allowed_are_no_neighbours() -> None:
    edges = nearest_edges(GRID, 4, max_pitches=1.0)
    assert sorted(senders(edges, 6)) == [1, 5, 7, 11]
    assert sorted(senders(edges, 0)) == [1, 5], "a corner"
    assert sorted(senders(nearest_edges(GRID, 4), 0)) == [1, 2, 5, 6]
    assert sorted(senders(nearest_edges(GRID, 4, max_pitches=1.5), 0)) == [1, 5, 6]


def test_of_spots_equally_far_the_lower_row_then_column_comes_first() -> None:
    assert senders(nearest_edges(GRID, 3), 7) == [2, 6, 8]
    assert senders(nearest_edges(GRID, 1), 7) == [2]
    assert senders(nearest_edges(GRID, 5), 7) == [2, 6, 8, 12, 1], "the first of the diagonal ones last"


@pytest.mark.parametrize("k", [2, 3, 5])
def test_ties_do_not_depend_on_the_order_of_storage_nor_on_rounding(k) -> None:
    generator = torch.Generator().manual_seed(0)
    rounded = GRID + 0.0002 * torch.rand(GRID.shape, generator=generator)
    expected = set(map(tuple, nearest_edges(GRID, k).T.tolist()))
    assert set(map(tuple, nearest_edges(rounded, k).T.tolist())) == expected
    for _ in range(5):
        order = torch.randperm(len(GRID), generator=generator)
        assert set(map(tuple, order[nearest_edges(GRID[order], k)].T.tolist())) == expected


def test_a_lonely_spot_has_no_edges_into_or_out_of_it() -> None:
    points = torch.cat([GRID, torch.tensor([[500.0, 500.0]])])
    edges = nearest_edges(points, 4, max_pitches=2.0)
    assert len(GRID) not in edges
    assert torch.equal(edges, nearest_edges(GRID, 4, max_pitches=2.0))


def test_one_spot_or_none_has_no_edges() -> None:
    for n_spots in (0, 1):
        assert nearest_edges(GRID[:n_spots], 4).shape == (2, 0)


def test_a_section_smaller_than_k_is_joined_whole() -> None:
    assert nearest_edges(GRID[:3], 4).tolist() == [[1, 2, 0, 2, 1, 0], [0, 0, 1, 1, 2, 2]]


def test_spots_are_in_order_of_row_then_column() -> None:
    xy = torch.tensor([[1.0, 2.0], [3.0, 1.0], [0.0, 2.0], [1.001, 0.999]])
    assert order_by_place(xy).tolist() == [3, 1, 2, 0]


def test_the_order_of_storage_changes_nothing() -> None:
    xy = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0)) + 0.001 * torch.rand(20, 2)
    shuffled = xy[torch.randperm(20)]
    assert torch.equal(xy[order_by_place(xy)], shuffled[order_by_place(shuffled)])
