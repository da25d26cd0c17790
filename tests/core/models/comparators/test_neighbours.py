"""Spots have an order of their own, whatever the order in which they are stored."""

from __future__ import annotations

import torch

from gr2st_core.models.comparators.neighbours import order_by_place


def test_spots_are_in_order_of_row_then_column() -> None:
    xy = torch.tensor([[1.0, 2.0], [3.0, 1.0], [0.0, 2.0], [1.001, 0.999]])
    assert order_by_place(xy).tolist() == [3, 1, 2, 0]


def test_the_order_of_storage_changes_nothing() -> None:
    xy = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0)) + 0.001 * torch.rand(20, 2)
    shuffled = xy[torch.randperm(20)]
    assert torch.equal(xy[order_by_place(xy)], shuffled[order_by_place(shuffled)])
