"""The network of HGGEP.

Source: Li, Zhang, Wang, Zhang, Li, Li, Su, "Gene expression prediction from histology images via hypergraph neural
networks", Briefings in Bioinformatics 2024.
"""

from __future__ import annotations

from torch import Tensor, nn

from gr2st_core.comparator_settings.hggep import HGGEPSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.distilled import DistilledNetwork
from gr2st_core.models.comparators.hggep.taps import N_TAPS, FeatureTaps, ImageTaps
from gr2st_core.models.comparators.hypergraph import Hypergraph, HypergraphConv, alike_neighbours
from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.jump import LstmJump
from gr2st_core.models.comparators.network import in_portions
from gr2st_core.models.comparators.positions import XYEmbedding


class HypergraphBlock(nn.Module):
    """Two convolutions over a hypergraph, through a narrower width, added to what they were given."""

    def __init__(self, d_model: int, d_hidden: int, dropout: float) -> None:
        super().__init__()
        self.narrow, self.widen = HypergraphConv(d_model, d_hidden), HypergraphConv(d_hidden, d_model)
        self.between = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))

    def forward(self, rows: Tensor, graph: Hypergraph) -> Tensor:
        """From ``(n, d_model)`` to the same."""
        convolved: Tensor = rows + self.widen(self.between(self.narrow(rows, graph)), graph)
        return convolved


class HGGEPNetwork(DistilledNetwork):
    """Patch and place to expression: a transformer on each of three taps, then groups of near spots that look alike.

    Parameters
    ----------
    row_shape
        Shape of a spot's input: a patch, or a row of features, of which three linear layers stand for the taps. On
        features there is no self-distillation, since there are no pixels to change.
    """

    def __init__(self, settings: HGGEPSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        width, is_pixels = settings.d_model, len(row_shape) > 1
        super().__init__(settings, width, n_genes, is_pixels=is_pixels)
        self.stem = ImageTaps(settings) if is_pixels else FeatureTaps(row_shape[0], width)
        self.place = XYEmbedding(settings.n_positions, width)
        self.transformers = nn.ModuleList(
            transformer(settings.depth, width, settings.n_heads, settings.d_head, settings.d_mlp, settings.dropout)
            for _ in range(N_TAPS)
        )
        self.hypergraph = HypergraphBlock(width, settings.d_hypergraph, settings.hypergraph_dropout)
        self.n_alike, self.is_least_alike = settings.n_alike, settings.hyperedge == "least_alike"
        self.jump = LstmJump(width, settings.n_jump_layers)

    def embedded(self, inputs: SectionInputs, edges: Tensor) -> Tensor:
        """What all heads read of the spots, ``(n_spots, d_model)``."""
        taps = in_portions(self.stem, inputs.spots) + self.place(inputs.grid)[:, None]
        rows = [blocks(tap) for blocks, tap in zip(self.transformers, taps.unbind(1), strict=True)]
        summed = rows[0] + rows[1] + rows[2]
        graph = alike_neighbours(summed, edges, self.n_alike, least=self.is_least_alike)
        jumped: Tensor = self.jump([*rows, self.hypergraph(summed, graph)])
        return jumped
