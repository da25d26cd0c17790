"""Hist2ST as a method.

Belongs here: its name, network and departures from what was published. Does not belong here: training.
"""

from __future__ import annotations

from typing import ClassVar

from gr2st_core.comparator_settings.hist2st import Hist2STSettings
from gr2st_core.models.comparators.hist2st.network import Hist2STNetwork
from gr2st_core.models.comparators.section_predictor import SectionPredictor


class Hist2STPredictor(SectionPredictor[Hist2STSettings]):
    """Hist2ST."""

    method: ClassVar[str] = "hist2st"
    deviations: ClassVar[tuple[str, ...]] = (
        "patches are cut x right, y down (published: exchanged)",
        "the number of epochs is chosen on an inner split (published: 350, no validation)",
        "a spot without neighbours stands in for them itself (published: 0/0, no number)",
        "neighbours are near in pitches of the slide, equally near ones in order of row and column (published: array "
        "units, in order of storage)",
        "changed patches are turned by whole quarter turns, so that no corner is empty",
        "the weight of a changed pass is a softmax over passes for each spot",
        "on features: one linear layer replaces the convolutions; no self-distillation, as no pixels can be changed",
        "sections whose grid exceeds the position tables are shrunk to fit",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> Hist2STNetwork:
        """Build the network."""
        return Hist2STNetwork(self.settings, row_shape, n_genes)
