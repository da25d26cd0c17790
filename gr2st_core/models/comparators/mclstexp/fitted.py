"""A trained mclSTExp: prediction, and what is stored of it.

Belongs here: both. Does not belong here: training, the bank's making (``look_up``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.models.comparators.fitted import FittedComparator
from gr2st_core.models.comparators.mclstexp.look_up import look_up
from gr2st_core.models.comparators.mclstexp.network import MclStExpNetwork
from gr2st_core.predictor import ModelState
from gr2st_core.retrieval.bank import Neighbours, ReferenceBank
from gr2st_core.retrieval.references import References
from gr2st_core.types import ImageSection, Prediction, require_image_sections


@dataclass(frozen=True)
class FittedMclStExp(FittedComparator):
    """A trained mclSTExp.

    Attributes
    ----------
    bank
        Of the training spots; its expression is in target units.
    settings
        What it was trained with.
    """

    network: MclStExpNetwork
    bank: ReferenceBank
    settings: MclStExpSettings

    def predict(self, section: ImageSection) -> Prediction:
        """Predict a section from its patches alone; neither place nor neighbours of a query spot are read.

        Raises
        ------
        LeakageError
            Given anything but an ``ImageSection``, or a section that the model was trained on.
        MissingArtifactError
            The section has no image, or not the features that the method reads.
        """
        found = self._look_up(section)
        return Prediction(section.key, section.spot_ids, self.panel.genes, found.expression)

    def references(self, section: ImageSection, k: int) -> References:
        """Name the training spots that a prediction averages: see ``LooksUp``."""
        found = self._look_up(section)
        return References.of(self.bank, found.index, found.weights, k, part="values", share=1.0)

    def state(self) -> ModelState:
        """Weights (network and source; matrices float16, vectors float32), bank (float16), config, history."""
        return replace(super().state(), bank=self.bank.to_arrays())

    def _look_up(self, section: ImageSection) -> Neighbours:
        require_image_sections([section])
        self.bank.refuse([section.key])
        with torch.no_grad():
            queries = self.network.embed_images(self.reader(section).to(self.device))
        return look_up(self.bank, queries, self.settings)
