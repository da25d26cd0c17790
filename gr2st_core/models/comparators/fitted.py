"""A trained comparator of whole sections: prediction, and what is stored of it.

Belongs here: both. Does not belong here: training, systems that look training spots up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.sources import Reader
from gr2st_core.models.gr2st.fitted import stored_weights
from gr2st_core.predictor import ModelState
from gr2st_core.types import ImageSection, Panel, Prediction, require_image_sections


@dataclass(frozen=True)
class FittedSections:
    """A trained network that predicts a section at once.

    Attributes
    ----------
    network
        In evaluation mode; matrices hold float16 values, so that storing them changes nothing.
    reader
        Of spots' rows.
    n_positions
        Rows of the position tables.
    panel
        Columns of its predictions.
    config, history
        The stored account of the training: see ``predictor``.
    """

    network: SectionNetwork
    reader: Reader
    n_positions: int
    panel: Panel
    config: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)

    def predict(self, section: ImageSection) -> Prediction:
        """Predict a section from its image and where its spots lie.

        Raises
        ------
        LeakageError
            Given anything but an ``ImageSection``.
        MissingArtifactError
            The section has no image, or not the features that the method reads.
        """
        require_image_sections([section])
        inputs = SectionInputs.of(section, self.reader(section), self.n_positions)
        device = next(self.network.parameters()).device
        with torch.no_grad():
            values = self.network(inputs.to(device)).cpu().numpy()
        return Prediction(section.key, section.spot_ids, self.panel.genes, values)

    def state(self) -> ModelState:
        """Weights (network and source; matrices float16, vectors float32), config, history."""
        weights = stored_weights(self.network, {"source": self.reader.to_arrays()})
        return ModelState(weights, self.config, history=self.history)
