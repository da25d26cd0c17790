"""Layers that pass rows along the edges of a section's graph.

Belongs here: convolutions over given edges. Does not belong here: which spots are joined (``neighbours``), attention of
every spot to every other (``attention``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, relu


class NeighbourMeanConv(nn.Module):
    """Mean of the neighbours' rows through one matrix, rectified and brought to length 1.

    A spot without neighbours stands in for them itself, since a mean over none is undefined.

    Parameters
    ----------
    self_loop
        Whether the mean takes in the spot's own row.
    """

    def __init__(self, d_in: int, d_out: int, *, self_loop: bool) -> None:
        super().__init__()
        self.weight, self.self_loop = nn.Linear(d_in, d_out, bias=False), self_loop

    def forward(self, rows: Tensor, edges: Tensor) -> Tensor:
        """Convolve.

        Parameters
        ----------
        rows
            ``(n, d_in)``.
        edges
            Sender and receiver, int64 ``(2, n_edges)``.

        Returns
        -------
        ``(n, d_out)``; a row that nothing activates is all 0.
        """
        sender, receiver = edges
        degree = torch.bincount(receiver, minlength=len(rows)).to(rows.dtype)[:, None]
        own = torch.ones_like(degree) if self.self_loop else (degree == 0).to(rows.dtype)
        mean = (rows * own).index_add(0, receiver, rows_at(rows, sender)) / (degree + own)
        return normalize(relu(self.weight(mean)), dim=1)


def rows_at(rows: Tensor, index: Tensor) -> Tensor:
    """Rows of another tensor, ``(*index.shape, d)``.

    The same as ``rows[index]``, whose gradient several threads would sum in any order.
    """
    return rows.index_select(0, index.flatten()).unflatten(0, index.shape)
