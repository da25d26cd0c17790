"""Which spots count as a spot's neighbours.

Belongs here: the nearest spots of a section as edges, spots in order of place. Does not belong here: layers over them
(``graph_layers``).
"""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_edges(pitch_xy: Tensor, k: int, max_pitches: float | None = None) -> Tensor:
    """Edges from each spot's nearest spots to the spot itself.

    Parameters
    ----------
    pitch_xy
        Spot centres in units of the pitch, float ``(n_spots, 2)``.
    k
        Neighbours at most; the spot is not its own.
    max_pitches
        Farther ones are no neighbours.

    Returns
    -------
    Sender and receiver, int64 ``(2, n_edges)``, sorted by receiver. Of spots equally far the one of the lower row, then
    of the lower column comes first, so that the order in which spots are stored does not matter; distances are taken as
    equal within a tenth of the pitch, since arrays are registered to about a hundredth of it.
    """
    n_spots = len(pitch_xy)
    kept = min(k, n_spots - 1)
    if kept < 1:
        return torch.empty(2, 0, dtype=torch.int64, device=pitch_xy.device)
    by_place = order_by_place(pitch_xy)
    placed = pitch_xy[by_place].double()
    distance = torch.cdist(placed, placed).mul(10).round()
    distance.fill_diagonal_(torch.inf)
    nearest, sender = distance.sort(dim=1, stable=True)
    nearest, sender = nearest[:, :kept], sender[:, :kept]
    receiver = torch.arange(n_spots, device=pitch_xy.device)[:, None].expand_as(sender)
    close = nearest <= torch.inf if max_pitches is None else nearest <= 10 * max_pitches
    edges = torch.stack([by_place[sender[close]], by_place[receiver[close]]])
    return edges[:, edges[1].argsort(stable=True)]


def order_by_place(pitch_xy: Tensor) -> Tensor:
    """Order of spots by row, then column, to a hundredth of the pitch, int64 ``(n_spots,)``.

    A network that sees them in this order returns the same numbers to the last bit however they are stored, which
    matters where it chooses among them.
    """
    x, y = pitch_xy.double().mul(100).round().unbind(1)
    by_x = x.argsort(stable=True)
    return by_x[y[by_x].argsort(stable=True)]
