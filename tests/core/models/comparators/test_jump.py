"""The outputs of layers are read in order of depth, spot by spot."""

from __future__ import annotations

import torch

from gr2st_core.models.comparators.jump import LstmJump


def test_the_outputs_of_an_lstm_over_depth_are_averaged() -> None:
    torch.manual_seed(0)
    jump, outputs = LstmJump(4, 1), list(torch.randn(3, 5, 4))
    weights = jump.lstm
    hidden = cell = torch.zeros(5, 4)
    seen = []
    for rows in outputs:
        gates = (
            rows @ weights.weight_ih_l0.T + weights.bias_ih_l0 + hidden @ weights.weight_hh_l0.T + weights.bias_hh_l0
        )
        into, forget, new, out = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        seen.append(hidden)
    torch.testing.assert_close(jump(outputs), sum(seen) / 3)


def test_depth_is_a_sequence_and_spots_are_apart() -> None:
    torch.manual_seed(0)
    jump, outputs = LstmJump(4, 2), list(torch.randn(3, 5, 4))
    straight = jump(outputs)
    assert not torch.allclose(straight, jump(outputs[::-1]))
    torch.testing.assert_close(jump([rows[2:3] for rows in outputs]), straight[2:3])
