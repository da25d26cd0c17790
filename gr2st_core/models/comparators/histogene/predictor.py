"""HisToGene as a method.

Belongs here: its name, network and departures from what was published. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar

from gr2st_core.comparator_settings.histogene import HisToGeneSettings
from gr2st_core.models.comparators.histogene.network import HisToGeneNetwork
from gr2st_core.models.comparators.section_predictor import SectionPredictor


class HisToGenePredictor(SectionPredictor[HisToGeneSettings]):
    """HisToGene."""

    method: ClassVar[str] = "histogene"
    deviations: ClassVar[tuple[str, ...]] = (
        "patches are cut x right, y down (published: exchanged)",
        "the number of epochs is chosen on an inner split (published: 100, no validation)",
        "sections whose grid exceeds the position tables are shrunk to fit",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> HisToGeneNetwork:
        """Build the network."""
        return HisToGeneNetwork(self.settings, row_shape, n_genes)
