"""Reg2ST as a method.

Belongs here: its name, network, optimiser and departures from what was published. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from gr2st_core.comparator_settings.reg2st import Reg2STSettings
from gr2st_core.models.comparators.reg2st.network import Reg2STNetwork
from gr2st_core.models.comparators.section_predictor import SectionPredictor


class Reg2STPredictor(SectionPredictor[Reg2STSettings]):
    """Reg2ST."""

    method: ClassVar[str] = "reg2st"
    adam = torch.optim.AdamW
    deviations: ClassVar[tuple[str, ...]] = (
        "the shared frozen encoder, its features standardised by the training spots (published: Phikon-v2)",
        "attention heads are merged spot by spot (published: without transposing back, which mixes spots)",
        "no masked pass (published: computed, then overwritten)",
        "the rate follows the configured number of epochs, epoch by epoch (published: 31 steps an epoch, whatever the "
        "split)",
        "the contrast is of image and gene rows, both of unit length; blocks normalise before they mix, with GELU "
        "between layers: the published account leaves these open",
        "the number of epochs is chosen on an inner split (published: 400, no validation)",
        "sections whose grid exceeds the position tables are shrunk to fit",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> Reg2STNetwork:
        """Build the network."""
        return Reg2STNetwork(self.settings, row_shape, n_genes)
