"""Learned embeddings of where a spot lies on the capture grid.

Belongs here: ``XYEmbedding``. Does not belong here: how a grid is brought onto the tables (``inputs``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class XYEmbedding(nn.Module):
    """Sum of a learned row for the column and one for the row of a spot.

    Parameters
    ----------
    n_positions
        Rows of each table.
    """

    def __init__(self, n_positions: int, d_model: int) -> None:
        super().__init__()
        self.x, self.y = nn.Embedding(n_positions, d_model), nn.Embedding(n_positions, d_model)

    def forward(self, grid: Tensor) -> Tensor:
        """Embed int64 ``(n_spots, 2)``, ``(n_spots, d_model)``."""
        return self.apart(grid).sum(1)

    def apart(self, grid: Tensor) -> Tensor:
        """Both rows before they are summed, the column's first, ``(n_spots, 2, d_model)``."""
        return torch.stack([self.x(grid[:, 0]), self.y(grid[:, 1])], dim=1)
