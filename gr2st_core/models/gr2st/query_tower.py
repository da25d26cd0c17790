"""The query side of the shared space: a spot as the image shows it.

Belongs here: ``QueryTower``. Does not belong here: expression, or anything that only training spots have.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gr2st_core.models.gr2st.projection import ProjectionHead


class QueryTower(nn.Module):
    """Embed patch features, and average the embeddings around each spot.

    Parameters
    ----------
    d_features, d_embedding, dropout
        As in ``ProjectionHead``.
    """

    def __init__(self, *, d_features: int, d_embedding: int, dropout: float) -> None:
        super().__init__()
        self.projection = ProjectionHead(d_in=d_features, d_out=d_embedding, dropout=dropout)

    def forward(self, features: Tensor, neighbour_mean: Tensor) -> tuple[Tensor, Tensor]:
        """Embed the spots of one section.

        Parameters
        ----------
        features
            Standardised, ``(n_spots, d_features)``.
        neighbour_mean
            Sparse ``(n_spots, n_spots)``; a row's product is the mean over its spatial neighbours and itself.

        Returns
        -------
        Embeddings and their context, each ``(n_spots, d_embedding)``.
        """
        embedded = self.projection(features)
        with torch.autocast(features.device.type, enabled=False):  # sparse products have no half precision
            context = torch.sparse.mm(neighbour_mean, embedded.float())
        return embedded, context
