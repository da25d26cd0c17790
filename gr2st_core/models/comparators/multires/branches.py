"""What a spot is at each resolution.

Belongs here: the branch that reads neighbours. Does not belong here: how branches are fused (``network``); the branch
that reads the section is a plain transformer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr2st_core.models.comparators.cross_attention import CrossAttentionDecoder
from gr2st_core.models.comparators.graph_layers import rows_at
from gr2st_core.models.comparators.neighbours import nearest_edges


class NeighbourBranch(nn.Module):
    """Every spot attends to the spots around it and to itself, told how far and in which direction each lies.

    Parameters
    ----------
    decoder
        Of ``d_model`` wide rows.
    n_neighbours, max_pitches
        As in ``surroundings``.
    """

    def __init__(self, decoder: CrossAttentionDecoder, d_model: int, n_neighbours: int, max_pitches: float) -> None:
        super().__init__()
        self.decoder, self.n_neighbours, self.max_pitches = decoder, n_neighbours, max_pitches
        self.offset = nn.Sequential(nn.Linear(2, d_model), nn.GELU(), nn.Linear(d_model, d_model))

    def forward(self, rows: Tensor, pitch_xy: Tensor) -> Tensor:
        """From ``(n, d_model)`` to the same."""
        around, is_there = surroundings(pitch_xy, self.n_neighbours, self.max_pitches)
        memory = rows_at(rows, around) + self.offset(pitch_xy[around] - pitch_xy[:, None])
        attended: Tensor = self.decoder(rows[:, None], memory, is_there)
        return attended[:, 0]


def surroundings(pitch_xy: Tensor, n_neighbours: int, max_pitches: float) -> tuple[Tensor, Tensor]:
    """Each spot, then its nearest ones, and which of them are near enough.

    Parameters
    ----------
    pitch_xy
        Spot centres in units of the pitch, ``(n_spots, 2)``.
    n_neighbours
        At most; a smaller section has fewer. Where more lie within ``max_pitches``, equally far ones are left out on
        one side of a spot and not on the other.

    Returns
    -------
    Row numbers, int64, and whether each counts, bool, both ``(n_spots, 1 + n_neighbours)``; a spot itself does.
    """
    own = torch.arange(len(pitch_xy), device=pitch_xy.device)[:, None]
    nearest = nearest_edges(pitch_xy, n_neighbours)[0].view(len(pitch_xy), -1)
    around = torch.cat([own, nearest], dim=1)
    return around, (pitch_xy[around] - pitch_xy[:, None]).norm(dim=2) <= max_pitches
