"""Hypergraphs over the spots of a section: groups of near spots that look alike, and convolution over them.

Belongs here: how groups are formed and rows passed through them. Does not belong here: which spots are near
(``neighbours``), layers over plain edges (``graph_layers``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gr2st_core.models.comparators.graph_layers import rows_at


@dataclass(frozen=True, slots=True)
class Hypergraph:
    """Groups of spots; a spot may be in many. Every spot has a hyperedge of its own, of the same number.

    Attributes
    ----------
    spots, hyperedges
        Which spot is in which hyperedge, int64 ``(n_members,)`` each.
    weights
        Of the hyperedges, above 0, ``(n_spots,)``.
    """

    spots: Tensor
    hyperedges: Tensor
    weights: Tensor


def alike_neighbours(rows: Tensor, edges: Tensor, n_alike: int, *, least: bool = False) -> Hypergraph:
    """Put each spot in a hyperedge with those of its neighbours whose rows are nearest to its own.

    Parameters
    ----------
    rows
        What spots are compared by, ``(n_spots, d)``; no gradient reaches them.
    edges
        Sender and receiver, int64 ``(2, n_edges)``, no spot its own neighbour: see ``neighbours.nearest_edges``.
    n_alike
        Neighbours in a hyperedge, at most. Of neighbours equally alike, the one of the earlier edge comes first.
    least
        Take those whose rows are farthest instead.

    Returns
    -------
    Hyperedges weighed by how alike their members are: the mean over them of ``exp(-distance / mean distance)``, the
    spot itself at distance 0 and the mean taken over all edges. A spot without neighbours is alone in its hyperedge.
    """
    (sender, receiver), rows = edges, rows.detach()
    distance = torch.linalg.vector_norm(rows[sender] - rows[receiver], dim=1)
    ordered = (-distance if least else distance).argsort(stable=True)
    ordered = ordered[receiver[ordered].argsort(stable=True)]  # by receiver, then by distance
    degree = torch.bincount(receiver, minlength=len(rows))
    rank = torch.arange(len(ordered), device=rows.device) - (degree.cumsum(0) - degree)[receiver[ordered]]
    kept = ordered[rank < n_alike]
    every = torch.arange(len(rows), device=rows.device)
    hyperedges = torch.cat([every, receiver[kept]])
    alike = torch.cat([torch.ones_like(rows[:, 0]), (-distance[kept] / distance.mean().clamp(min=1e-12)).exp()])
    weights = torch.zeros_like(rows[:, 0]).index_add(0, hyperedges, alike)
    return Hypergraph(torch.cat([every, sender[kept]]), hyperedges, weights / _sizes(hyperedges, len(rows)))


class HypergraphConv(nn.Module):
    """Rows through one matrix, averaged in each hyperedge, and those averaged for each spot by the hyperedges' weights.

    Source: Bai, Zhang, Torr, "Hypergraph convolution and hypergraph attention", Pattern Recognition 2021.
    """

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.weight = nn.Linear(d_in, d_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(d_out))

    def forward(self, rows: Tensor, graph: Hypergraph) -> Tensor:
        """From ``(n_spots, d_in)`` to ``(n_spots, d_out)``."""
        spots, hyperedges, n_spots = graph.spots, graph.hyperedges, len(rows)
        projected = self.weight(rows)
        sums = torch.zeros_like(projected).index_add(0, hyperedges, rows_at(projected, spots))
        means = graph.weights[:, None] * sums / _sizes(hyperedges, n_spots)[:, None]
        gathered = torch.zeros_like(means).index_add(0, spots, rows_at(means, hyperedges))
        total = graph.weights.new_zeros(n_spots).index_add(0, spots, graph.weights[hyperedges])
        convolved: Tensor = gathered / total[:, None] + self.bias
        return convolved


def _sizes(hyperedges: Tensor, n_spots: int) -> Tensor:
    """Members of each hyperedge, float32 ``(n_spots,)``."""
    return torch.bincount(hyperedges, minlength=n_spots).float()
