"""Graph attention between the spots of one section, as dense masked attention.

Belongs here: ``DenseGAT``. Does not belong here: which edges exist (``gr2st_core.graphs``).

A section has hundreds of spots, its graphs are 2-20 % full: a masked matrix product is faster than gathering one
message per edge, and needs ``n_spots**2 * n_heads`` numbers instead of ``n_edges * n_heads * d_head``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.utils.checkpoint import checkpoint

LARGE_SECTION = 4096
_CLOSED = -1e30  # finite, so that a closed edge contributes 0 * _CLOSED = 0 to the entropy, not NaN


class DenseGAT(nn.Module):
    """Multi-head graph attention whose heads are concatenated.

    Parameters
    ----------
    d_in, d_head, n_heads
        Widths; the output has ``n_heads * d_head`` columns.
    dropout
        On the attention weights.
    rows_at_once
        Receivers per block; above it a section is attended block by block, each recomputed in the backward pass.

    Notes
    -----
    The function of GAT (Velickovic et al. 2018) with LeakyReLU slope 0.2, plus an optional additive bias on the logits.
    """

    def __init__(
        self, *, d_in: int, d_head: int, n_heads: int, dropout: float, rows_at_once: int = LARGE_SECTION
    ) -> None:
        super().__init__()
        self.n_heads, self.d_head, self.rows_at_once = n_heads, d_head, rows_at_once
        self.values = nn.Linear(d_in, n_heads * d_head, bias=False)
        self.sender = nn.Parameter(torch.empty(n_heads, d_head))
        self.receiver = nn.Parameter(torch.empty(n_heads, d_head))
        self.bias = nn.Parameter(torch.zeros(n_heads * d_head))
        self.dropout = nn.Dropout(dropout)
        for weight in (self.values.weight, self.sender, self.receiver):
            nn.init.xavier_uniform_(weight)

    def forward(self, nodes: Tensor, mask: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mix each spot's senders.

        Parameters
        ----------
        nodes
            Shape ``(n_spots, d_in)``.
        mask
            Boolean ``(n_spots, n_spots)``, row = receiver; every row needs an edge (the self loop).
        bias
            Added to the logits of all heads, same shape as ``mask``.

        Returns
        -------
        Messages ``(n_spots, n_heads * d_head)`` and the attention's relative entropy, a scalar in 0..1: per spot and
        head the entropy over the log of its number of senders, averaged; 0 where there is one sender only.
        """
        values = self.values(nodes).view(-1, self.n_heads, self.d_head).transpose(0, 1)
        sent = (values * self.sender[:, None]).sum(2)
        received = (values * self.receiver[:, None]).sum(2)
        blocks = []
        for rows in torch.arange(len(nodes), device=nodes.device).split(self.rows_at_once):
            own_bias = None if bias is None else bias[rows]
            inputs = (values, sent, received[:, rows], mask[rows], own_bias)
            blocks.append(self._attend(*inputs) if len(rows) == len(nodes) else _recomputed(self._attend, inputs))
        messages, entropies = zip(*blocks, strict=True)
        return torch.cat(messages, dim=1).transpose(0, 1).flatten(1) + self.bias, torch.cat(entropies, dim=1).mean()

    def _attend(
        self, values: Tensor, sent: Tensor, received: Tensor, mask: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        logits = leaky_relu(received[:, :, None] + sent[:, None, :], 0.2)
        if bias is not None:
            logits = logits + bias
        log_attention = logits.float().masked_fill(~mask, _CLOSED).log_softmax(dim=2)
        attention = log_attention.exp()
        most = mask.sum(1).clamp(min=2).log()
        entropy = -(attention * log_attention).sum(2) / most
        return self.dropout(attention).to(values.dtype) @ values, entropy


def _recomputed(attend: object, inputs: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor]:
    result: tuple[Tensor, Tensor] = checkpoint(attend, *inputs, use_reentrant=False)
    return result
