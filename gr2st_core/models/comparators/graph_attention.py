"""Graph attention over a list of edges.

Belongs here: the layer as the comparators call it. Does not belong here: which edges exist (``neighbours``), how
attention is computed (``gr2st_published.attention``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr2st_core.models.gr2st_published.attention import GraphAttention
from gr2st_core.models.gr2st_published.graphs import Edges


class GraphAttentionConv(nn.Module):
    """Multi-head graph attention (GAT) with self loops, whose heads are concatenated.

    Parameters
    ----------
    d_in, d_out, n_heads
        Width of rows, width of a head, number of heads.
    dropout
        On the attention weights.
    """

    def __init__(self, d_in: int, d_out: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = GraphAttention(d_in=d_in, d_head=d_out, n_heads=n_heads, dropout=dropout)

    def forward(self, rows: Tensor, edges: Tensor) -> Tensor:
        """Mix each row with its senders'.

        Parameters
        ----------
        rows
            Shape ``(n, d_in)``.
        edges
            Sender and receiver, int64 ``(2, n_edges)``; self loops are added, so that a row without senders keeps its
            own.

        Returns
        -------
        Shape ``(n, n_heads * d_out)``.
        """
        mask = rows.new_zeros((len(rows), len(rows)), dtype=torch.bool)
        sender, receiver = edges
        mask[receiver, sender] = True
        mixed: Tensor = self.attention(rows, Edges.of(mask))[0]
        return mixed
