"""R2's regression head: six experts on the image embedding, mixed by a gate.

Belongs here: ``ExpertHead``. Does not belong here: retrieval, or the mix of both (``fitted``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu


class ExpertHead(nn.Module):
    """Regression experts mixed by a gate that is taught the spot's cell class and needs none to predict.

    Parameters
    ----------
    d_embedding, d_gate, n_experts, n_genes
        Widths of embedding, of the gate's hidden layer, number of experts (one per cell class) and of genes.
    dropout
        On the hidden units of the experts.

    Notes
    -----
    All experts' first layers are one linear map; their second layers are ``out`` and ``bias``.
    """

    def __init__(self, *, d_embedding: int, d_gate: int, n_experts: int, n_genes: int, dropout: float) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(d_embedding, d_gate), nn.ReLU(), nn.Linear(d_gate, n_experts))
        self.hidden = nn.Linear(d_embedding, n_experts * d_embedding)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Parameter(torch.empty(n_experts, d_embedding, n_genes))
        self.bias = nn.Parameter(torch.empty(n_experts, n_genes))
        for parameter in (self.out, self.bias):  # as `nn.Linear` draws them
            nn.init.uniform_(parameter, -(d_embedding**-0.5), d_embedding**-0.5)

    def forward(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Predict spots from their image embedding ``(n_spots, d_embedding)``.

        Returns
        -------
        Expression ``(n_spots, n_genes)``, and the gate's logits ``(n_spots, n_experts)``.
        """
        logits = self.gate(embedded)
        return self.mix(embedded, logits.softmax(dim=1)), logits

    def mix(self, embedded: Tensor, gate: Tensor) -> Tensor:
        """Experts' predictions weighted by ``gate``, rows of which sum to 1."""
        n_experts, width, n_genes = self.out.shape
        hidden = self.dropout(gelu(self.hidden(embedded))).view(-1, n_experts, width)
        # Weighting the hidden units first makes all experts one matrix product.
        weighted = (gate[:, :, None] * hidden).flatten(1)
        return weighted @ self.out.view(-1, n_genes) + gate @ self.bias
