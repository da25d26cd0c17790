"""A graph that a network draws between spots by itself.

Belongs here: ``WiKG``. Does not belong here: layers over edges that are given (``graph_layers``).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from gr2st_core.models.comparators.graph_layers import rows_at


class WiKG(nn.Module):
    """Each spot as head picks the tails that are most similar to it, and is mixed with them.

    A spot may pick itself, so one that is alone in its section has a neighbour too.

    Source: Li et al., "Dynamic graph representation with knowledge-aware attention for histopathology whole slide
    image analysis", CVPR 2024.

    Parameters
    ----------
    n_neighbours
        Tails of a spot; all, where the section has fewer.
    """

    def __init__(self, d_model: int, n_neighbours: int) -> None:
        super().__init__()
        self.n_neighbours = n_neighbours
        self.to_head, self.to_tail = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.of_sum, self.of_product = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def forward(self, rows: Tensor) -> Tensor:
        """From ``(n, d_model)`` to the same.

        Of equally similar tails either may be picked. Equal tails change nothing by it; for unequal ones to be picked
        alike, spots must come in the same order (``neighbours.order_by_place``).
        """
        head, tail = self.to_head(rows), self.to_tail(rows)
        similarity = head @ tail.T / math.sqrt(rows.shape[1])
        strength, index = similarity.topk(min(self.n_neighbours, len(rows)), dim=1)
        around = gated_mean(head, rows_at(tail, index), strength.softmax(dim=1))
        # Bi-interaction: what a spot and its surroundings have together, and what they have in common.
        mixed: Tensor = leaky_relu(self.of_sum(head + around)) + leaky_relu(self.of_product(head * around))
        return mixed


def gated_mean(head: Tensor, tails: Tensor, edge: Tensor) -> Tensor:
    """Mean of tails, weighted by how they agree with a gate made of the head and of the edge to them.

    Parameters
    ----------
    head
        ``(n, d_model)``.
    tails
        ``(n, k, d_model)``.
    edge
        Weight of each edge in 0..1, ``(n, k)``; an edge's own row lies between its tail (1) and its head (0).
    """
    own = head[:, None]
    gate = (own + own.lerp(tails, edge[..., None])).tanh()
    weight = (tails * gate).sum(dim=-1).softmax(dim=1)
    return (weight[..., None] * tails).sum(dim=1)
