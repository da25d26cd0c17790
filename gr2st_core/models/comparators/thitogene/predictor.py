"""THItoGene as a method.

Belongs here: its name, network and departures from what was published. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar

from gr2st_core.comparator_settings.thitogene import THItoGeneSettings
from gr2st_core.models.comparators.section_predictor import SectionPredictor
from gr2st_core.models.comparators.thitogene.network import THItoGeneNetwork


class THItoGenePredictor(SectionPredictor[THItoGeneSettings]):
    """THItoGene."""

    method: ClassVar[str] = "thitogene"
    deviations: ClassVar[tuple[str, ...]] = (
        "patches are cut x right, y down (published: exchanged)",
        "the number of epochs is chosen on an inner split (published: 200, no validation)",
        "sections whose grid exceeds the position tables are shrunk to fit",
        "graph attention has self loops, so that a lonely spot keeps its own row (published: none)",
        "neighbours are nearest by spot centres; of equally far ones the upper, then the left (published: any)",
        "on frozen features one linear layer stands for dynamic convolution and capsules, which need maps",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> THItoGeneNetwork:
        """Build the network."""
        return THItoGeneNetwork(self.settings, row_shape, n_genes)
