"""The block that brings a modality into the shared embedding space.

Belongs here: ``ProjectionHead``. Does not belong here: what is projected.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import gelu


class ProjectionHead(nn.Module):
    """Linear map with a residual nonlinear correction and layer norm.

    Parameters
    ----------
    d_in, d_out
        Widths of input and embedding.
    dropout
        On the correction.
    """

    def __init__(self, *, d_in: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(d_in, d_out)
        self.correct = nn.Linear(d_out, d_out)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(d_out)

    def forward(self, values: Tensor) -> Tensor:
        """Embed rows, ``(n, d_in)`` to ``(n, d_out)``."""
        projected = self.project(values)
        normed: Tensor = self.norm(projected + self.dropout(self.correct(gelu(projected))))
        return normed
