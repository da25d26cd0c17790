"""The training side of the shared space: a spot as its expression, place, cell type and neighbours show it.

Belongs here: ``SpotTower`` and the learned similarity behind the functional graph. Does not belong here: anything a
query spot passes through; this tower reads expression.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from gr2st_core.graphs.functional import edge_weights, keep_dynamic
from gr2st_core.models.gr2st.attention import DenseGAT
from gr2st_core.models.gr2st.projection import ProjectionHead

_LOG_FLOOR = 1e-6


class SpotTower(nn.Module):
    """Embed spots through a functional and a spatial graph.

    Parameters
    ----------
    n_genes, n_classes, n_positions
        Sizes of the expression, of the cell-class table and of each position table.
    d_embedding, n_heads, dropout
        Width of the space and of one attention head, number of heads, dropout everywhere.
    similarity_weight, min_threshold, kappa, max_degree
        Of the functional graph, as in ``gr2st_core.graphs.functional``.
    similarity_temperature
        Divides the similarities behind that graph.
    by_function, by_place
        Whether spots attend through the functional and through the spatial graph. With neither, each attends to
        itself. Parameters are the same in number and first values either way, so that only the switch differs.
    """

    def __init__(
        self,
        *,
        n_genes: int,
        n_classes: int,
        n_positions: int,
        d_embedding: int,
        n_heads: int,
        dropout: float,
        similarity_weight: float,
        min_threshold: float,
        kappa: float,
        max_degree: int,
        similarity_temperature: float = 1.0,
        by_function: bool = True,
        by_place: bool = True,
    ) -> None:
        super().__init__()
        self.similarity_weight, self.similarity_temperature = similarity_weight, similarity_temperature
        self.by_function, self.by_place = by_function, by_place
        self.keep = partial(keep_dynamic, min_threshold=min_threshold, kappa=kappa, max_degree=max_degree)
        self.column, self.row = nn.Embedding(n_positions, n_genes), nn.Embedding(n_positions, n_genes)
        self.cell_class = nn.Sequential(
            nn.Embedding(n_classes, n_genes // 2 or 1),
            nn.Linear(n_genes // 2 or 1, n_genes),
            nn.ReLU(),
            nn.LayerNorm(n_genes),
            nn.Dropout(dropout),
        )
        self.head, self.tail, self.place = (nn.Linear(n_genes, d_embedding) for _ in range(3))
        self.head_norm, self.tail_norm = nn.LayerNorm(d_embedding), nn.LayerNorm(d_embedding)
        self.functional, self.spatial = (
            DenseGAT(d_in=d_embedding, d_head=d_embedding, n_heads=n_heads, dropout=dropout) for _ in range(2)
        )
        self.fusion = nn.Sequential(
            nn.Linear(n_heads * d_embedding, d_embedding), nn.ReLU(), nn.LayerNorm(d_embedding), nn.Dropout(dropout)
        )
        self.projection = ProjectionHead(d_in=d_embedding, d_out=d_embedding, dropout=dropout)

    def forward(
        self, expression: Tensor, positions: Tensor, classes: Tensor, spatial_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Embed the spots of one section.

        Parameters
        ----------
        expression
            Standardised within the section, ``(n_spots, n_genes)``.
        positions
            Column and row in the position tables, int64 ``(n_spots, 2)``.
        classes
            Dominant cell class, int64 ``(n_spots,)``, 0 = unknown.
        spatial_mask
            Boolean, row = receiver.

        Returns
        -------
        Embeddings ``(n_spots, d_embedding)`` and the mean relative entropy of the attentions.
        """
        spots = self.describe(expression, positions, classes)
        attended = []
        if self.by_function:
            mask, weights = self.functional_graph(spots, classes)
            attended.append(self.functional(self.head(spots), mask, (weights + _LOG_FLOOR).log()))
        if self.by_place or not self.by_function:
            own = torch.eye(len(spots), dtype=torch.bool, device=spots.device)
            attended.append(self.spatial(self.place(spots), spatial_mask if self.by_place else own))
        messages, entropies = zip(*attended, strict=True)
        return self.projection(self.fusion(sum(messages))), sum(entropies) / len(entropies)

    def describe(self, expression: Tensor, positions: Tensor, classes: Tensor) -> Tensor:
        """Add place and cell class to expression, ``(n_spots, n_genes)``."""
        per_class: Tensor = self.cell_class(torch.arange(len(self.cell_class[0].weight), device=classes.device))
        place: Tensor = self.column(positions[:, 0]) + self.row(positions[:, 1])
        # `per_class[classes]` would add up its gradient in the order that threads arrive.
        return expression + place + embedding(classes, per_class)

    def functional_graph(self, spots: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Mask and edge weights of the functional graph; the weights carry the gradient of ``tail``."""
        return self.functional_rows(*self.both_ends(spots), classes)

    def both_ends(self, spots: Tensor) -> tuple[Tensor, Tensor]:
        """Spots as they choose and as they are chosen, both ``(n_spots, d_embedding)``."""
        return self.head_norm(self.head(spots)), self.tail_norm(self.tail(spots))

    def functional_rows(
        self, chooser: Tensor, chosen: Tensor, classes: Tensor, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Rows of the functional graph's mask and edge weights.

        Parameters
        ----------
        chooser
            Of the rows' spots, which begin at ``first``.
        chosen, classes
            Of all spots.
        """
        scale = self.similarity_temperature * chosen.shape[1] ** 0.5
        similarity = (chooser @ chosen.T / scale).sigmoid().float()
        weights = edge_weights(similarity, classes, similarity_weight=self.similarity_weight, first=first)
        return self.keep(weights, first=first), weights
