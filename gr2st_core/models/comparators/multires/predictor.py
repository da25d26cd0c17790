"""The comparator of several resolutions as a method.

Belongs here: its name, network, where it starts and its optimiser. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
import torch
from torch import nn

from gr2st_core.comparator_settings.multires import MultiresSettings
from gr2st_core.expression.targets import to_target
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.multires.network import MultiresNetwork
from gr2st_core.models.comparators.network import SectionNetwork
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

    def initialise(self, network: SectionNetwork, train: LazySections) -> tuple[str, ...]:
        """Let every head start at the mean of the training spots: few steps would hardly reach it."""
        expression = [to_target(section.counts, train.panel, train.target) for section in train.sections]
        mean = torch.from_numpy(np.concatenate(expression).mean(axis=0))
        with torch.no_grad():
            for head in network.get_submodule("heads").children():
                cast("nn.Linear", head).bias.copy_(mean)
        return ("its heads start at the mean expression of the training spots",)
