"""Graph attention between the spots of one section.

Belongs here: ``GraphAttention`` in its two layouts. Does not belong here: which edges exist (``graphs``).

On a CPU sparse graphs are attended edge by edge, dense ones as masked matrix products. The same numbers come out; which
is faster depends on the share of pairs that are edges (``benchmarks/train_step.py`` times the step). A third layout,
each receiver's senders gathered and padded to the largest number of them, is 7 to 60 times slower than the first: in R1
a few spots are chosen by hundreds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, leaky_relu

from gr2st_core.models.gr2st_published.graphs import Edges

DENSE_FROM = 0.125
"""Density from which the matrix product wins; on a CPU one edge costs about as much as ten pairs of it."""

MATRIX_UP_TO = 2048
"""Spots of the largest section that a GPU attends by matrix products whatever their density, which it would have to be
asked for: a step that waits for no answer can be captured (``gr2st_core.training.steps``)."""

_CLOSED = -1e30


class GraphAttention(nn.Module):
    """Multi-head graph attention whose heads are concatenated.

    Parameters
    ----------
    d_in, d_head, n_heads
        Widths; the output has ``n_heads * d_head`` columns.
    dropout
        On the attention weights.

    Notes
    -----
    The function of GAT (Velickovic et al. 2018) with LeakyReLU slope 0.2.
    """

    def __init__(self, *, d_in: int, d_head: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.values = nn.Linear(d_in, n_heads * d_head, bias=False)
        self.sender = nn.Parameter(torch.empty(n_heads, d_head))
        self.receiver = nn.Parameter(torch.empty(n_heads, d_head))
        self.bias = nn.Parameter(torch.zeros(n_heads * d_head))
        self.dropout = nn.Dropout(dropout)
        for weight in (self.values.weight, self.sender, self.receiver):
            nn.init.xavier_uniform_(weight)

    def forward(self, nodes: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Mix each spot's senders.

        Parameters
        ----------
        nodes
            Shape ``(n_spots, d_in)``.

        Returns
        -------
        Messages ``(n_spots, n_heads * d_head)``, and the attention weights after dropout in either layout:
        ``(n_edges, n_heads)``, or ``(n_heads, n_spots, n_spots)`` with zeros where there is no edge.
        """
        values = self.values(nodes).view(len(nodes), self.n_heads, self.d_head)
        sent, received = (nodes @ self._probes()).chunk(2, dim=1)
        attend = self._by_matrix if _matrix_wins(edges) else self._by_edge
        messages, attention = attend(values, sent, received, edges)
        return messages + self.bias, attention

    def _probes(self) -> Tensor:
        """Map from nodes to logits, ``(d_in, 2 * n_heads)``: the values need not be read a second time."""
        heads = self.values.weight.view(self.n_heads, self.d_head, -1)
        return torch.bmm(torch.stack([self.sender, self.receiver], dim=1), heads).transpose(0, 1).flatten(0, 1).T

    def _by_matrix(self, values: Tensor, sent: Tensor, received: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        logits = leaky_relu(received.T[:, :, None] + sent.T[:, None, :], 0.2)
        attention = self.dropout(logits.masked_fill(~edges.mask, _CLOSED).softmax(dim=2))
        return (attention @ values.transpose(0, 1)).transpose(0, 1).flatten(1), attention

    def _by_edge(self, values: Tensor, sent: Tensor, received: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        logits = leaky_relu(received.index_select(0, edges.receiver) + sent.index_select(0, edges.sender), 0.2)
        attention = self.dropout(_softmax_per_receiver(logits, edges))
        return _Mix.apply(attention, values, edges).flatten(1), attention


def _matrix_wins(edges: Edges) -> bool:
    if edges.mask.is_cuda and len(edges.mask) <= MATRIX_UP_TO:
        return True
    return edges.density >= DENSE_FROM


class _Mix(torch.autograd.Function):
    """Weighted sum over each receiver's senders, by edge.

    Backward sums over each sender's receivers in the same way: several times faster than torch's own, which sorts.
    """

    @staticmethod
    def forward(ctx: Any, attention: Tensor, values: Tensor, edges: Edges) -> Tensor:
        """Mix ``values`` ``(n_spots, n_heads, d_head)`` by ``attention`` ``(n_edges, n_heads)``."""
        ctx.save_for_backward(attention, values)
        ctx.edges = edges
        return _sum_in_bags(values, attention, edges.sender, edges.first)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Gradients of attention and values."""
        edges: Edges = ctx.edges
        attention, values = ctx.saved_tensors
        order = edges.by_sender
        to_values = _sum_in_bags(gradient, attention[order], edges.receiver[order], edges.first_sent)
        with torch.enable_grad():
            weights = attention.detach().requires_grad_()
            mixed = _sum_in_bags(values.detach(), weights, edges.sender, edges.first)
        return torch.autograd.grad(mixed, weights, gradient)[0], to_values, None


def _sum_in_bags(table: Tensor, weights: Tensor, index: Tensor, first: Tensor) -> Tensor:
    """Sum rows ``index`` of ``table`` by weight, from each bag's ``first`` to the next's; no message is ever stored."""
    n_spots, n_heads, width = table.shape
    head = torch.arange(n_heads, device=table.device)[:, None]
    bags = embedding_bag(
        (index * n_heads + head).flatten(),
        table.reshape(-1, width),
        (first + head * len(index)).flatten(),
        mode="sum",
        per_sample_weights=weights.T.flatten(),
    )
    return bags.view(n_heads, n_spots, width).transpose(0, 1)


def _softmax_per_receiver(logits: Tensor, edges: Edges) -> Tensor:
    """Softmax over each receiver's edges, ``(n_edges, n_heads)``."""
    n_spots = len(edges.first)
    top = logits.new_full((n_spots, logits.shape[1]), _CLOSED)
    top.scatter_reduce_(0, edges.receiver[:, None].expand_as(logits), logits.detach(), "amax")
    open_ = (logits - top.index_select(0, edges.receiver)).exp()
    total = torch.zeros_like(top).index_add(0, edges.receiver, open_)
    return open_ / total.index_select(0, edges.receiver)
