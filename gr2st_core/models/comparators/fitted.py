"""A trained comparator: prediction, and what is stored of it.

Belongs here: both, for systems that take a section at once. Does not belong here: training, how systems that look
training spots up predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.network import ComparatorNetwork, SectionNetwork
from gr2st_core.models.comparators.sources import Reader
from gr2st_core.models.gr2st.fitted import stored_weights
from gr2st_core.predictor import ModelState
from gr2st_core.types import ImageSection, Panel, Prediction, require_image_sections


@dataclass(frozen=True)
class FittedComparator:
    """A trained network, and all that its predictions are made with.

    Attributes
    ----------
    network
        In evaluation mode; matrices hold float16 values, so that storing them changes nothing.
    reader
        Of spots' rows.
    panel
        Columns of its predictions.
    config, history
        The stored account of the training: see ``predictor``.
    """

    network: ComparatorNetwork
    reader: Reader
    panel: Panel
    config: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device

    def state(self) -> ModelState:
        """Weights (network and source; matrices float16, vectors float32), config, history."""
        weights = stored_weights(self.network, {"source": self.reader.to_arrays()})
        return ModelState(weights, self.config, history=self.history)


@dataclass(frozen=True)
class FittedSections(FittedComparator):
    """A trained network that predicts a section at once.

    Attributes
    ----------
    n_positions
        Rows of the position tables.
    """

    network: SectionNetwork
    n_positions: int

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
        with torch.no_grad():
            values = self.network(inputs.to(self.device)).cpu().numpy()
        return Prediction(section.key, section.spot_ids, self.panel.genes, values)
