"""The comparator of several resolutions as a method.

Belongs here: its name, network and optimiser. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from gr2st_core.comparator_settings.multires import MultiresSettings
from gr2st_core.models.comparators.multires.network import MultiresNetwork
from gr2st_core.models.comparators.section_predictor import SectionPredictor


class MultiresPredictor(SectionPredictor[MultiresSettings]):
    """Spot, neighbours and section."""

    method: ClassVar[str] = "multires"
    adam = torch.optim.AdamW
    deviations: ClassVar[tuple[str, ...]] = (
        "this project's own design, in the spirit of TRIPLEX and its successors: no published number is its own",
        "sections whose grid exceeds the position tables are shrunk to fit",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> MultiresNetwork:
        """Build the network."""
        return MultiresNetwork(self.settings, row_shape, n_genes)
