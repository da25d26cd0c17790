"""The functional graph's rules, on weights chosen to sit on either side of them."""

import numpy as np
import pytest
import torch

from gr2st_core.graphs import functional
from gr2st_core.graphs.functional import edge_table, edge_weights, keep_dynamic, row_blocks

DYNAMIC = {"min_threshold": 0.6, "kappa": 1.0, "max_degree": 64}


def _pairwise(similarity: float, classes: list[int]) -> torch.Tensor:
    n = len(classes)
    return edge_weights(torch.full((n, n), similarity), torch.tensor(classes), similarity_weight=0.7)


def test_unknown_classes_earn_no_bonus():
    weights = _pairwise(0.5, [0, 0, 1, 1])
    assert torch.allclose(weights[0, :2], torch.tensor(0.35))
    assert torch.allclose(weights[2, 3], torch.tensor(0.65))


def test_dynamic_rule_equals_its_definition_row_by_row():
    weights = torch.rand(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept = keep_dynamic(weights, **DYNAMIC).numpy()
    for i, row in enumerate(weights.numpy()):
        others = np.delete(row, i)
        expected = row > max(0.6, others.mean() + others.std())
        expected[i] = True
        assert np.array_equal(kept[i], expected)


def test_dynamic_rule_keeps_at_most_max_degree_and_the_heaviest_ones():
    weights = torch.rand(200, 200, generator=torch.Generator().manual_seed(1)) * 0.1 + 0.9
    kept = keep_dynamic(weights, min_threshold=0.0, kappa=0.0, max_degree=7)
    assert kept.sum(1).max() == 7 + 1
    lightest_kept = weights.masked_fill(~kept | torch.eye(200, dtype=torch.bool), 2.0).amin(1)
    dropped = weights.masked_fill(kept, 0.0).amax(1)
    assert (lightest_kept >= dropped).all()


def test_no_spot_is_isolated_in_sections_of_one_two_and_many_spots():
    for n in (1, 2, 3, 30):
        kept = keep_dynamic(torch.full((n, n), 0.2), **DYNAMIC)
        assert kept.diagonal().all()
        assert kept.sum() == n


def test_edge_table_names_receiver_and_sender():
    mask = torch.tensor([[True, True], [False, True]])
    table = edge_table(mask, torch.tensor([[0.5, 0.75], [0.1, 0.5]]), np.array(["a", "b"]))
    assert table.to_dict("list") == {
        "spot_id": ["a", "a", "b"],
        "neighbour_id": ["a", "b", "b"],
        "weight": [0.5, 0.75, 0.5],
    }


@pytest.mark.parametrize("n_spots", [1, 2, 3, 41])
def test_blocks_of_rows_give_the_rows_of_the_whole(n_spots, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    similarity = torch.rand(n_spots, n_spots, generator=draw)
    classes, ids = torch.randint(0, 3, (n_spots,), generator=draw), np.array([f"s{i}" for i in range(n_spots)])
    whole = edge_weights(similarity, classes, similarity_weight=0.7)
    expected = edge_table(keep_dynamic(whole, **DYNAMIC), whole, ids)
    monkeypatch.setattr(functional, "_BLOCK", 7 * n_spots)
    blocks = row_blocks(n_spots)
    assert len(blocks) == -(-n_spots // 7)
    tables = []
    for rows in blocks:
        weights = edge_weights(similarity[rows], classes, similarity_weight=0.7, first=rows.start)
        mask = keep_dynamic(weights, **DYNAMIC, first=rows.start)
        tables += edge_table(mask, weights, ids, rows.start).to_dict("records")
    assert tables == expected.to_dict("records")
