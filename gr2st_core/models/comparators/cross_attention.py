"""Blocks of attention from one set of rows to another.

Belongs here: the decoder layer that the comparators share, and stacks of it. Does not belong here: attention of rows to
each other (``attention``).
"""

from __future__ import annotations

from torch import Tensor, nn

from gr2st_core.models.comparators.attention import Attention, mlp


class CrossAttentionBlock(nn.Module):
    """Attention of rows to a memory, then a network of two layers; each on normalised rows and added to them.

    Parameters
    ----------
    d_mlp
        Hidden width of the two layers.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int, d_mlp: int, dropout: float) -> None:
        super().__init__()
        self.norm_query, self.norm_memory, self.norm_mlp = (nn.LayerNorm(d_model) for _ in range(3))
        self.attention = Attention(d_model, n_heads, d_head, dropout)
        self.mlp = mlp(d_model, d_mlp, dropout)

    def forward(self, rows: Tensor, memory: Tensor, is_there: Tensor | None = None) -> Tensor:
        """From ``(..., n, d_model)`` and ``(..., m, d_model)`` to the shape of the first; ``is_there``: `Attention`."""
        rows = rows + self.attention(self.norm_query(rows), self.norm_memory(memory), is_there)
        mixed: Tensor = rows + self.mlp(self.norm_mlp(rows))
        return mixed


class CrossAttentionDecoder(nn.Module):
    """Several blocks that read the same memory, and a last normalisation."""

    def __init__(self, depth: int, d_model: int, n_heads: int, d_head: int, d_mlp: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(CrossAttentionBlock(d_model, n_heads, d_head, d_mlp, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, rows: Tensor, memory: Tensor, is_there: Tensor | None = None) -> Tensor:
        """From ``(..., n, d_model)`` and ``(..., m, d_model)`` to the shape of the first; ``is_there``: `Attention`."""
        for block in self.blocks:
            rows = block(rows, memory, is_there)
        normalised: Tensor = self.norm(rows)
        return normalised
