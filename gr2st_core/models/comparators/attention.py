"""Blocks of attention over the spots of a section.

Belongs here: the transformer block that the comparators share, and stacks of it. Does not belong here: attention over a
graph's edges (``graph_layers``).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Attention of every query row to every row of a memory, by several heads.

    Parameters
    ----------
    d_model
        Width of rows.
    n_heads, d_head
        Of queries, keys and values, which carry no bias.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        self.to_query = nn.Linear(d_model, n_heads * d_head, bias=False)
        self.to_key_value = nn.Linear(d_model, 2 * n_heads * d_head, bias=False)
        self.out = nn.Sequential(nn.Linear(n_heads * d_head, d_model), nn.Dropout(dropout))

    def forward(self, rows: Tensor, memory: Tensor | None = None, is_there: Tensor | None = None) -> Tensor:
        """Attend, ``(..., n, d_model)``; without a memory ``(..., m, d_model)`` to the rows themselves.

        Of a memory only rows that are there count: bool ``(..., m)``, at least one of them.
        """
        key, value = self.to_key_value(rows if memory is None else memory).chunk(2, dim=-1)
        mask = None if is_there is None else is_there[..., None, None, :]
        heads = _attend(*map(self._by_head, (self.to_query(rows), key, value)), mask=mask)
        attended: Tensor = self.out(heads.transpose(-3, -2).flatten(-2))
        return attended

    def _by_head(self, rows: Tensor) -> Tensor:
        """``(..., n_heads, n, d_head)``."""
        return rows.unflatten(-1, (self.n_heads, self.d_head)).transpose(-3, -2)


def _attend(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None) -> Tensor:
    """Torch's attention, with the batch axis without which it would hold all weights at once."""
    if query.ndim == 3:
        return scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=mask)[0]
    return scaled_dot_product_attention(query, key, value, attn_mask=mask)


def mlp(d_model: int, d_mlp: int, dropout: float) -> nn.Sequential:
    """The two layers that follow attention in a block."""
    return nn.Sequential(
        nn.Linear(d_model, d_mlp), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_mlp, d_model), nn.Dropout(dropout)
    )


class PreNormBlock(nn.Module):
    """Attention, then a network of two layers; each on normalised rows and added to what it was given.

    Parameters
    ----------
    d_mlp
        Hidden width of the two layers.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int, d_mlp: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attention = Attention(d_model, n_heads, d_head, dropout)
        self.mlp = mlp(d_model, d_mlp, dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """From ``(n, d_model)`` to the same."""
        rows = rows + self.attention(self.norm_attention(rows))
        mixed: Tensor = rows + self.mlp(self.norm_mlp(rows))
        return mixed


def transformer(depth: int, d_model: int, n_heads: int, d_head: int, d_mlp: int, dropout: float) -> nn.Sequential:
    """Several blocks, one after the other."""
    return nn.Sequential(*(PreNormBlock(d_model, n_heads, d_head, d_mlp, dropout) for _ in range(depth)))
