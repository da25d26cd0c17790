"""The network that sees a spot at several resolutions, and what it minimises.

Belongs here: both. Does not belong here: attention, neighbours (``branches``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gr2st_core.comparator_settings.multires import MultiresSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.cross_attention import CrossAttentionDecoder
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.multires.branches import NeighbourBranch
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.positions import XYEmbedding

BRANCHES = ("spot", "neighbours", "section")
FIRST_PLACES = 0.02
"""Spread of position tables before any training: small, so that where a spot lies does not drown what it looks like."""


class MultiresNetwork(SectionNetwork):
    """Three views of a spot, a prediction from each, and one from all, which is what it predicts.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a row of features.
    """

    def __init__(self, settings: MultiresSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        super().__init__()
        width, block = settings.d_model, (settings.n_heads, settings.d_head, settings.d_mlp, settings.dropout)
        self.distillation_weight = settings.distillation_weight
        self.project = nn.Sequential(
            nn.Linear(math.prod(row_shape), width), nn.GELU(), nn.Dropout(settings.dropout), nn.LayerNorm(width)
        )
        self.neighbours = NeighbourBranch(
            CrossAttentionDecoder(settings.neighbour_depth, width, *block),
            width,
            settings.n_neighbours,
            settings.max_pitches,
        )
        self.place = XYEmbedding(settings.n_positions, width)
        for table in (self.place.x, self.place.y):
            nn.init.normal_(table.weight, std=FIRST_PLACES)
        self.section = nn.Sequential(transformer(settings.section_depth, width, *block), nn.LayerNorm(width))
        self.fuse = nn.Sequential(nn.Linear(len(BRANCHES) * width, width), nn.GELU(), nn.Dropout(settings.dropout))
        self.heads = nn.ModuleDict({name: nn.Linear(width, n_genes) for name in (*BRANCHES, "fused")})

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression, ``(n_spots, n_genes)``."""
        predicted: Tensor = self.heads["fused"](self._views(inputs)["fused"])
        return predicted

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Error of each head; ``total`` moves each branch's head towards the fused prediction too."""
        predicted = {name: self.heads[name](view) for name, view in self._views(inputs).items()}
        errors = {name: mse_loss(values, truth.expression) for name, values in predicted.items()}
        teacher = predicted["fused"].detach()
        distances = torch.stack([mse_loss(predicted[name], teacher) for name in BRANCHES])
        own = torch.stack([errors[name] for name in BRANCHES])
        total = errors["fused"] + own.lerp(distances, self.distillation_weight).sum()
        return {
            "mse": errors["fused"],
            **{f"{name}_mse": errors[name] for name in BRANCHES},
            "distillation": distances.sum(),
            "total": total,
        }

    def _views(self, inputs: SectionInputs) -> dict[str, Tensor]:
        """What a spot is at each resolution and at all together, each ``(n_spots, d_model)``."""
        spot = self.project(inputs.spots)
        neighbours = self.neighbours(spot, inputs.pitch_xy)
        section = self.section(spot + self.place(inputs.grid))
        fused = self.fuse(torch.cat([spot, neighbours, section], dim=1))
        return {"spot": spot, "neighbours": neighbours, "section": section, "fused": fused}
