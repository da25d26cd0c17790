"""The network of HisToGene.

Source: Pang, Su, Li, "Leveraging information in spatial transcriptomics to predict super-resolution gene expression
from histology images in tumors", bioRxiv 2021.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gr2st_core.comparator_settings.histogene import HisToGeneSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.positions import XYEmbedding


class HisToGeneNetwork(SectionNetwork):
    """Flattened patch and place to expression, by attention over the whole section.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a patch, or a row of features.
    """

    def __init__(self, settings: HisToGeneSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        super().__init__()
        width = settings.d_model
        self.project = nn.Linear(math.prod(row_shape), width)
        self.place = XYEmbedding(settings.n_positions, width)
        self.blocks = transformer(
            settings.depth, width, settings.n_heads, settings.d_head, settings.d_mlp, settings.dropout
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, n_genes))

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression, ``(n_spots, n_genes)``; pixels enter as 0-255, as published."""
        rows = self.project(inputs.spots.flatten(1).float()) + self.place(inputs.grid)
        predicted: Tensor = self.head(self.blocks(rows))
        return predicted
