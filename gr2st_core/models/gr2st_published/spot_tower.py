"""The training side of the shared space: a spot as its expression, place, cell class and neighbours show it.

Belongs here: ``SpotTower``. Does not belong here: anything a query spot passes through; this tower reads expression.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from gr2st_core.models.gr2st.projection import ProjectionHead
from gr2st_core.models.gr2st_published.attention import GraphAttention
from gr2st_core.models.gr2st_published.graphs import Edges, FunctionalRule


class SpotTower(nn.Module):
    """Embed spots through a functional and a spatial graph.

    Parameters
    ----------
    n_genes, n_classes, n_positions
        Sizes of the expression, of the cell-class table and of each position table.
    d_embedding, n_heads, dropout
        Width of the space and of one attention head, number of heads, dropout everywhere.
    temperature
        Divides the similarity.
    rule
        From similarity and classes to the functional graph.
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
        temperature: float,
        rule: FunctionalRule,
    ) -> None:
        super().__init__()
        self.temperature, self.rule = temperature, rule
        self.column, self.row = nn.Embedding(n_positions, n_genes), nn.Embedding(n_positions, n_genes)
        self.cell_class = nn.Sequential(
            nn.Embedding(n_classes, n_genes // 2 or 1),
            nn.Linear(n_genes // 2 or 1, n_genes),
            nn.ReLU(),
            nn.LayerNorm(n_genes),
        )
        self.class_dropout = nn.Dropout(dropout)
        self.head, self.tail, self.place = (nn.Linear(n_genes, d_embedding) for _ in range(3))
        self.functional, self.spatial = (
            GraphAttention(d_in=d_embedding, d_head=d_embedding, n_heads=n_heads, dropout=dropout) for _ in range(2)
        )
        self.fusion = nn.Sequential(
            nn.Linear(n_heads * d_embedding, d_embedding), nn.ReLU(), nn.LayerNorm(d_embedding), nn.Dropout(dropout)
        )
        self.projection = ProjectionHead(d_in=d_embedding, d_out=d_embedding, dropout=dropout)

    def forward(
        self, expression: Tensor, positions: Tensor, classes: Tensor, spatial: Edges
    ) -> tuple[Tensor, tuple[tuple[Tensor, Edges], tuple[Tensor, Edges]]]:
        """Embed the spots of one section.

        Parameters
        ----------
        expression
            Target ``per_spot``, ``(n_spots, n_genes)``.
        positions
            Column and row in the position tables, int64 ``(n_spots, 2)``.
        classes
            Dominant cell class, int64 ``(n_spots,)``, 0 = unknown.

        Returns
        -------
        Embeddings ``(n_spots, d_embedding)``; attention weights and edges of the functional and the spatial graph.
        """
        spots = self.describe(expression, positions, classes)
        chooser = self.head(spots)
        functional = self.functional_edges(spots, chooser, classes)
        by_function, one = self.functional(chooser, functional)
        by_place, other = self.spatial(self.place(spots), spatial)
        return self.projection(self.fusion(by_function + by_place)), ((one, functional), (other, spatial))

    def describe(self, expression: Tensor, positions: Tensor, classes: Tensor) -> Tensor:
        """Add place and cell class to expression, ``(n_spots, n_genes)``."""
        per_class: Tensor = self.cell_class(torch.arange(len(self.cell_class[0].weight), device=classes.device))
        place: Tensor = self.column(positions[:, 0]) + self.row(positions[:, 1])
        return expression + place + self.class_dropout(embedding(classes, per_class))

    def functional_edges(self, spots: Tensor, chooser: Tensor, classes: Tensor) -> Edges:
        """Edges that similarity draws; only indices leave here, so ``tail`` never trains, as published.

        Parameters
        ----------
        spots
            What `describe` returns.
        chooser
            ``head`` of them.
        """
        with torch.no_grad():
            return Edges.of(self.rule(chooser @ self.tail(spots).T / self.temperature, classes))
