"""Edge rules: who chooses, who receives, what a tie does."""

import numpy as np
import torch

from gr2st_core.graphs.spatial import neighbour_mask, radius_edges
from gr2st_core.models.gr2st_published.graphs import Edges, above_threshold, most_similar, nearest, spatial_mask
from gr2st_core.settings import Gr2stR2Settings

GRID = np.stack(np.meshgrid(np.arange(9.0), np.arange(8.0)), axis=-1).reshape(-1, 2)


def test_the_window_of_an_integer_grid_is_five_by_five_and_symmetric():
    mask = spatial_mask(GRID, Gr2stR2Settings())
    assert torch.equal(mask, mask.T)
    interior = ((GRID >= 2) & (GRID <= (6, 5))).all(axis=1)
    assert (mask.sum(1).numpy()[interior] == 25).all()
    assert mask.diagonal().all()
    in_pixels = GRID @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * 288.3 + 77
    assert torch.equal(neighbour_mask(radius_edges(in_pixels / 288.3, 3.0), len(GRID)), mask)


def test_threshold_edges_need_less_similarity_within_a_class():
    generator = torch.Generator().manual_seed(0)
    similarity = 3 * torch.randn(40, 40, generator=generator)
    classes = torch.randint(0, 6, (40,), generator=generator)
    edges = Edges.of(above_threshold(similarity, classes, similarity_weight=0.7, threshold=0.6))
    sigma, alike = similarity.sigmoid(), classes[:, None] == classes[None]
    chosen = torch.where(alike, sigma > 3 / 7, sigma > 6 / 7) | torch.eye(40, dtype=torch.bool)
    assert torch.equal(edges.mask, chosen.T)  # the chosen receives
    assert not torch.equal(edges.mask, edges.mask.T)


def test_each_spot_chooses_its_most_similar_and_the_chosen_receives():
    similarity, classes = torch.tensor([[1.0, 3.0, 2.0], [0.0, 0.0, 9.0], [5.0, 4.9, 0.0]]), torch.tensor([1, 2, 2])
    mask = most_similar(similarity, classes, n_chosen=1, type_bonus=0.3)
    # 0 chooses 1; 1 chooses 2; 2 prefers 1 to 0, since they are of one class
    assert mask.nonzero().tolist() == [[1, 0], [1, 2], [2, 1]]
    assert most_similar(similarity, classes, n_chosen=20, type_bonus=0.3).all()


def test_a_spot_that_nobody_chose_hears_itself():
    similarity = torch.zeros(5, 5)
    similarity[:, 0] = 1.0
    edges = Edges.of(most_similar(similarity, torch.zeros(5, dtype=torch.int64), n_chosen=1, type_bonus=0.3))
    assert edges.mask.sum(1).tolist() == [5, 1, 1, 1, 1]


def test_equal_distances_are_taken_by_row_then_column_whatever_the_order_of_spots():
    mask = nearest(GRID, 20)
    assert (mask.sum(0) == 20).all()
    assert mask.diagonal().all()
    centre = int(np.flatnonzero((GRID == (4, 4)).all(axis=1))[0])
    offsets = {tuple(xy) for xy in (GRID[mask[:, centre].numpy()] - (4, 4)).astype(int)}
    within_5 = {(x, y) for x in range(-2, 3) for y in range(-2, 3) if x * x + y * y <= 5}
    assert within_5 - offsets == {(1, 2)}  # of the eight at distance sqrt(5) the last row's last column is left out
    order = np.random.default_rng(0).permutation(len(GRID))
    assert torch.equal(nearest(GRID[order], 20), mask[order][:, order])
    assert nearest(GRID[:7], 20).all()
