"""What all networks share: rows in portions, and normalisation without counters."""

from __future__ import annotations

import torch
from torch import nn

from gr2st_core.models.comparators.network import PORTION, in_portions, without_counters


class Stem(nn.Module):
    """Doubles rows, and remembers how many it was given at once and in which mode."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, bool]] = []

    def forward(self, rows):
        self.seen.append((len(rows), self.training))
        return 2 * rows


def test_portions_are_put_together_in_order_and_training_sees_all_at_once() -> None:
    stem, rows = Stem(), torch.arange(2 * PORTION + 3.0)[:, None]
    for mode in (False, True):
        assert torch.equal(in_portions(stem.train(mode), rows), 2 * rows)
    assert stem.seen == [(PORTION, False), (PORTION, False), (3, False), (len(rows), True)]


def test_a_single_row_is_normalised_as_when_predicting() -> None:
    stem = Stem()
    assert in_portions(stem, torch.ones(1, 1)).item() == 2
    assert stem.seen == [(1, False)]
    assert stem.training


def test_counters_of_normalisation_are_neither_stored_nor_asked_for() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    without_counters(network)
    network(torch.randn(4, 2))
    plain = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not any("num_batches" in name for name in plain)
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    without_counters(other)
    other.load_state_dict(plain)
    assert torch.equal(other[1].running_mean, network[1].running_mean)
