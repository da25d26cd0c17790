"""What all networks share: rows in portions, and normalisation without counters."""

from __future__ import annotations

import torch
from torch import nn

from gr2st_core.models.comparators.network import PORTION, in_portions, without_counters


def test_portions_are_put_together_in_order() -> None:
    sizes = []

    def stem(rows):
        sizes.append(len(rows))
        return 2 * rows

    rows = torch.arange(2 * PORTION + 3.0)[:, None]
    assert torch.equal(in_portions(stem, rows, whole=False), 2 * rows)
    assert sizes == [PORTION, PORTION, 3]
    sizes.clear()
    assert torch.equal(in_portions(stem, rows, whole=True), 2 * rows)
    assert sizes == [len(rows)]


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
