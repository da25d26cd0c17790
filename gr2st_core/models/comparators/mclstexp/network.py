"""The network of mclSTExp: what the image shows of a spot and what its expression says, in one space.

Belongs here: both towers and their contrast. Does not belong here: batches (``learner``), look-up (``fitted``).

Source: Min, Shi, Zhang, Wan, Wang, "Multimodal contrastive learning for spatial gene expression prediction using
histology images", Briefings in Bioinformatics 2024.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.mclstexp.image_encoder import DenseNetEncoder
from gr2st_core.models.comparators.network import ComparatorNetwork, in_portions
from gr2st_core.models.comparators.positions import XYEmbedding
from gr2st_core.models.gr2st.projection import ProjectionHead
from gr2st_core.models.gr2st_published.losses import contrastive


class SpotTower(nn.Module):
    """Expression and place of spots, by attention among those that are given together.

    Parameters
    ----------
    n_genes
        Width of the expression and of the attention blocks.
    """

    def __init__(self, settings: MclStExpSettings, n_genes: int) -> None:
        super().__init__()
        heads, dropout = (settings.n_heads, settings.d_head), settings.dropout
        self.place = XYEmbedding(settings.n_positions, n_genes)
        self.blocks = transformer(settings.depth, n_genes, *heads, n_genes, dropout)
        self.projection = ProjectionHead(d_in=n_genes, d_out=settings.d_embedding, dropout=dropout)

    def forward(self, expression: Tensor, grid: Tensor) -> Tensor:
        """Embed spots of one section.

        Parameters
        ----------
        expression
            In target units, ``(n_spots, n_genes)``.
        grid
            Column and row of the position tables, int64 ``(n_spots, 2)``.

        Returns
        -------
        ``(n_spots, d_embedding)``.
        """
        embedded: Tensor = self.projection(self.blocks(expression + self.place(grid)))
        return embedded


class MclStExpNetwork(ComparatorNetwork):
    """The image tower and the spot tower.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a patch, which the encoder reads, or a row of features, which goes straight to the
        projection.
    """

    def __init__(self, settings: MclStExpSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        super().__init__()
        self.temperature = settings.temperature
        self.encoder = DenseNetEncoder(settings) if len(row_shape) > 1 else None
        d_image = math.prod(row_shape) if self.encoder is None else self.encoder.d_out
        self.projection = ProjectionHead(d_in=d_image, d_out=settings.d_embedding, dropout=settings.dropout)
        self.spot = SpotTower(settings, n_genes)

    def embed_images(self, spots: Tensor) -> Tensor:
        """Embed what the image shows of each spot by itself, ``(n_spots, d_embedding)``."""
        rows = spots if self.encoder is None else in_portions(self.encoder, spots)
        embedded: Tensor = self.projection(rows)
        return embedded

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Symmetric cross-entropy of a batch's pairs in nats, and its value where all pairs look alike."""
        images, spots = self.embed_images(inputs.spots), self.spot(truth.expression, inputs.grid)
        loss = contrastive(spots, images, self.temperature)
        return {"contrastive": loss, "contrastive_chance": loss.new_tensor(math.log(len(images))), "total": loss}
