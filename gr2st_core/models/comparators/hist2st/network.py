"""The network of Hist2ST.

Source: Zeng, Wei, Yu, Yin, Yuan, Li, Tang, Lu, Yang, "Spatial transcriptomics prediction from histology jointly through
Transformer and graph neural networks", Briefings in Bioinformatics 2022.
"""

from __future__ import annotations

from torch import Tensor, nn

from gr2st_core.comparator_settings.hist2st import Hist2STSettings
from gr2st_core.models.comparators.attention import transformer
from gr2st_core.models.comparators.distilled import DistilledNetwork
from gr2st_core.models.comparators.graph_layers import NeighbourMeanConv
from gr2st_core.models.comparators.hist2st.stem import MixerStem
from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.jump import LstmJump
from gr2st_core.models.comparators.network import in_portions
from gr2st_core.models.comparators.positions import XYEmbedding


class Hist2STNetwork(DistilledNetwork):
    """Patch and place to expression, through attention over the section and then the graph of near spots.

    Parameters
    ----------
    row_shape
        Shape of a spot's input. A patch goes through convolutions; a row of features through one linear layer, and then
        there is no self-distillation, since there are no pixels to change.
    """

    def __init__(self, settings: Hist2STSettings, row_shape: tuple[int, ...], n_genes: int) -> None:
        width, is_pixels = settings.d_model, len(row_shape) > 1
        super().__init__(settings, width, n_genes, is_pixels=is_pixels)
        self.stem = MixerStem(settings) if is_pixels else nn.Linear(row_shape[0], width)
        self.place = XYEmbedding(settings.n_positions, width)
        self.blocks = transformer(
            settings.depth, width, settings.n_heads, settings.d_head, settings.d_mlp, settings.dropout
        )
        self.graph = nn.ModuleList(
            NeighbourMeanConv(width, width, self_loop=False) for _ in range(settings.n_graph_layers)
        )
        self.jump = LstmJump(width, settings.n_jump_layers)

    def embedded(self, inputs: SectionInputs, edges: Tensor) -> Tensor:
        """What the heads read of the spots, ``(n_spots, d_model)``."""
        rows = in_portions(self.stem, inputs.spots) + self.place(inputs.grid)
        rows, outputs = self.blocks(rows), []
        for layer in self.graph:
            rows = layer(rows, edges)
            outputs.append(rows)
        jumped: Tensor = self.jump(outputs)
        return jumped
