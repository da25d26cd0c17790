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
    offsets
        Mean training expression, ``(n_genes,)``: where every branch starts.
    dropout
        On the hidden units of the branches.
    """

    def __init__(self, *, d_embedding: int, n_branches: int, offsets: Tensor, dropout: float) -> None:
        super().__init__()
        n_genes, hidden = len(offsets), d_embedding
        self.gate = nn.Sequential(nn.Linear(2 * d_embedding, 128), nn.ReLU(), nn.Linear(128, n_branches))
        self.hidden = nn.Linear(d_embedding, n_branches * hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Parameter(torch.empty(n_branches, hidden, n_genes))
        self.bias = nn.Parameter(offsets.repeat(n_branches, 1))
        nn.init.uniform_(self.out, -(hidden**-0.5), hidden**-0.5)

    def forward(self, embedded: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the spots of one section.

        Parameters
        ----------
        embedded, context
            Image embedding of each spot and its neighbourhood mean, ``(n_spots, d_embedding)``.

        Returns
        -------
        Expression ``(n_spots, n_genes)`` in target units, and the gate's logits ``(n_spots, n_branches)``.
        """
        logits = self.gate(torch.cat([embedded, context], dim=1))
        return self.mix(embedded, logits.softmax(dim=1)), logits

    def mix(self, embedded: Tensor, gate: Tensor) -> Tensor:
        """Branches' predictions weighted by ``gate``, rows of which sum to 1."""
        n_branches, width, n_genes = self.out.shape
        hidden = self.dropout(gelu(self.hidden(embedded))).view(-1, n_branches, width)
        # Weighting the hidden units first makes all branches one matrix product.
        weighted = (gate[:, :, None] * hidden).flatten(1)
        return weighted @ self.out.view(-1, n_genes) + gate @ self.bias
