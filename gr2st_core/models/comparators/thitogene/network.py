"""The network of THItoGene.

Source: Jia, Liu, Chen, Zhao, Wang, "THItoGene: a deep learning method for predicting spatial transcriptomics from
histological images", Briefings in Bioinformatics 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from gr2st_core.comparator_settings.thitogene import THItoGeneSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.capsules import CapsuleRouting, PrimaryCapsules
from gr2st_core.models.comparators.dynamic_convolution import DynamicConv
from gr2st_core.models.comparators.graph_attention import GraphAttentionConv
from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.neighbours import nearest_edges
from gr2st_core.models.comparators.network import SectionNetwork, in_portions
from gr2st_core.models.comparators.positions import XYEmbedding

DYNAMIC_PX = 4
"""Side and step of the dynamic convolution's kernel."""


class THItoGeneNetwork(SectionNetwork):
    """Capsules of the patch and of its place, attention over the section, then over nearest spots.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a patch, or a row of features.

    Notes
    -----
    Where the description is silent: dropout in graph attention acts on its weights, and ELU follows either layer, as in
    the paper of graph attention.
    """

    def __init__(self, settings: THItoGeneSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        super().__init__()
        own = settings
        width = (own.n_capsules + 2) * own.d_capsule
        self.n_neighbours = own.n_neighbours
        stem = PatchStem if len(row_shape) > 1 else FeatureStem
        self.stem = stem(own, row_shape[-1])
        self.place = XYEmbedding(own.n_positions, own.d_capsule)
        self.blocks = transformer(own.depth, width, own.n_heads, own.d_head, own.d_mlp, own.dropout)
        self.graph = nn.ModuleList(
            [
                GraphAttentionConv(width, own.d_graph_head, own.graph_heads, own.dropout),
                GraphAttentionConv(own.graph_heads * own.d_graph_head, own.d_graph, 1, own.dropout),
            ]
        )
        self.head = nn.Sequential(
            nn.Linear(own.d_graph, own.d_hidden),
            nn.ReLU(),
            nn.LayerNorm(own.d_hidden),
            nn.Linear(own.d_hidden, n_genes),
        )

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression, ``(n_spots, n_genes)``; pixels enter as 0-255, as published."""
        rows = self.blocks(self.capsules(inputs).flatten(1))
        edges = nearest_edges(inputs.pitch_xy, self.n_neighbours)
        for layer in self.graph:
            rows = elu(layer(rows, edges))
        predicted: Tensor = self.head(rows)
        return predicted

    def capsules(self, inputs: SectionInputs) -> Tensor:
        """Capsules of the patches, then the column's and the row's, ``(n_spots, n_capsules + 2, d_capsule)``."""
        seen = in_portions(self.stem, inputs.spots)
        return torch.cat([seen, self.place.apart(inputs.grid)], dim=1)


class PatchStem(nn.Module):
    """A patch as capsules: dynamic convolution, primary capsules, routing."""

    def __init__(self, settings: THItoGeneSettings, input_px: int) -> None:
        super().__init__()
        own = settings
        self.dynamic = DynamicConv(
            3, own.dynamic_channels, kernel_px=DYNAMIC_PX, stride=DYNAMIC_PX, n_kernels=own.n_kernels
        )
        self.primary = PrimaryCapsules(
            own.dynamic_channels,
            own.channels,
            map_px=input_px // DYNAMIC_PX,
            n_capsules=own.n_primary,
            d_capsule=own.d_primary,
        )
        self.routing = CapsuleRouting(own.n_primary, own.d_primary, own.n_capsules, own.d_capsule)

    def forward(self, patches: Tensor) -> Tensor:
        """From uint8 ``(n, 3, input_px, input_px)`` to ``(n, n_capsules, d_capsule)``."""
        routed: Tensor = self.routing(self.primary(self.dynamic(patches.float()).relu()))
        return routed


class FeatureStem(nn.Module):
    """Features as the same capsules, by one linear layer."""

    def __init__(self, settings: THItoGeneSettings, d_features: int) -> None:
        super().__init__()
        self.shape = (settings.n_capsules, settings.d_capsule)
        self.project = nn.Linear(d_features, self.shape[0] * self.shape[1])

    def forward(self, features: Tensor) -> Tensor:
        """From ``(n, d_features)`` to ``(n, n_capsules, d_capsule)``."""
        projected: Tensor = self.project(features).unflatten(1, self.shape)
        return projected
