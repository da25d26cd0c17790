"""Expression from an image embedding, one branch per cell class.

Belongs here: ``BranchedHead``. Does not belong here: retrieval, or the mix of both (``fitted``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu


class BranchedHead(nn.Module):
    """Regression branches mixed by a gate that is taught the spot's cell classes and needs none to predict.

    Parameters
    ----------
    d_embedding, n_branches
        Widths; one branch per cell class.
    directions
        Gene directions that all branches share at first, ``(n_genes, rank)``; they go on learning.
    dropout
        On the hidden units of the branches.

    Notes
    -----
    Branches write scores along the directions and start at zero, so the first prediction is the training mean: noise
    of 785 random outputs would take longer to unlearn than training lasts.
    """

    def __init__(self, *, d_embedding: int, n_branches: int, directions: Tensor, dropout: float) -> None:
        super().__init__()
        (n_genes, rank), hidden = directions.shape, d_embedding
        self.gate = nn.Sequential(nn.Linear(2 * d_embedding, 128), nn.ReLU(), nn.Linear(128, n_branches))
        self.hidden = nn.Linear(d_embedding, n_branches * hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Parameter(torch.zeros(n_branches, hidden, rank))
        self.directions = nn.Parameter(directions.clone(memory_format=torch.contiguous_format))
        self.bias = nn.Parameter(torch.zeros(n_branches, n_genes))

    def forward(self, embedded: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the spots of one section.

        Parameters
        ----------
        embedded, context
            Image embedding of each spot and its neighbourhood mean, ``(n_spots, d_embedding)``.

        Returns
        -------
        Standardised expression ``(n_spots, n_genes)``, and the gate's logits ``(n_spots, n_branches)``.
        """
        logits = self.gate(torch.cat([embedded, context], dim=1))
        return self.mix(embedded, logits.softmax(dim=1)), logits

    def mix(self, embedded: Tensor, gate: Tensor) -> Tensor:
        """Branches' predictions weighted by ``gate``, rows of which sum to 1."""
        n_branches, width, rank = self.out.shape
        hidden = self.dropout(gelu(self.hidden(embedded))).view(-1, n_branches, width)
        # Weighting the hidden units first makes all branches one matrix product.
        weighted = (gate[:, :, None] * hidden).flatten(1)
        return weighted @ self.out.view(-1, rank) @ self.directions.T + gate @ self.bias
