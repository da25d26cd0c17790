"""A trained published state: prediction, and what is stored of it.

Belongs here: the reference bank's making, the mix of retrieval and regression. Does not belong here: training, files
(``stored``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from gr2st_core.expression.targets import to_target
from gr2st_core.keys import Target
from gr2st_core.models.gr2st.fitted import bank_of, stored_weights
from gr2st_core.models.gr2st_published.batch import Batch
from gr2st_core.models.gr2st_published.network import PublishedNetwork
from gr2st_core.models.gr2st_published.retrieval import retrieve
from gr2st_core.models.gr2st_published.scaling import FeatureScaler
from gr2st_core.predictor import ModelState
from gr2st_core.retrieval.bank import Neighbours, ReferenceBank
from gr2st_core.retrieval.references import References
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.types import ImageSection, Panel, Prediction, TrainSection, require_image_sections


@dataclass(frozen=True)
class FittedPublished:
    """A trained R1 or R2.

    Attributes
    ----------
    network
        In evaluation mode; matrices hold float16 values, so that storing them changes nothing.
    scaler, bank
        Of the training spots; the bank's expression is in ``target`` units.
    settings, panel, target
        What it was trained for.
    config
        The stored account of the training: see ``predictor``.
    history
        One row per epoch and loss term: stage, epoch, term, value.
    """

    network: PublishedNetwork
    scaler: FeatureScaler
    bank: ReferenceBank
    settings: Gr2stR1Settings | Gr2stR2Settings
    panel: Panel
    target: Target
    config: Mapping[str, Any]
    history: pd.DataFrame = field(repr=False)

    def predict(self, section: ImageSection) -> Prediction:
        """Predict a section from its image features; neither place nor neighbours of a query spot are read.

        Returns
        -------
        R1: ``retrieval`` in target units. R2: its mix with ``regression``, which is in ``per_spot`` units whatever
        the target, as published.

        Raises
        ------
        LeakageError
            Given anything but an ``ImageSection``, or a section that the model was trained on.
        MissingArtifactError
        """
        embedded, found = self._look_up(section)
        with torch.no_grad():
            regression = None if self.network.head is None else self.network.head(embedded)[0].cpu().numpy()
        values, components, weight = found.expression, {"retrieval": found.expression}, self._weight
        if regression is not None and weight is not None:
            values = weight * found.expression + (1 - weight) * regression
            components = {**components, "regression": regression}
        return Prediction(section.key, section.spot_ids, self.panel.genes, values, components, weight)

    def references(self, section: ImageSection, k: int) -> References:
        """Name the training spots that ``retrieval`` averages: see ``LooksUp``."""
        _, found = self._look_up(section)
        share = 1.0 if self._weight is None else self._weight
        return References.of(self.bank, found.index, found.weights, k, part="retrieval", share=share)

    @property
    def _weight(self) -> float | None:
        """Share of retrieval where there is anything else."""
        return self.settings.retrieval_weight if isinstance(self.settings, Gr2stR2Settings) else None

    def _look_up(self, section: ImageSection) -> tuple[torch.Tensor, Neighbours]:
        require_image_sections([section])
        self.bank.refuse([section.key])
        features = torch.from_numpy(self.scaler.transform(section))
        with torch.no_grad():
            embedded = self.network.image(features.to(self.network.spot.head.weight.device))
        floor = self.settings.distance_floor
        return embedded, retrieve(self.bank, embedded, top_k=self.settings.top_k, distance_floor=floor)

    def state(self) -> ModelState:
        """Weights (network and scaler; matrices float16, vectors float32), bank (float16), config, history."""
        return ModelState(
            stored_weights(self.network, {"scaler": self.scaler.to_arrays()}),
            self.config,
            self.bank.to_arrays(),
            self.history,
        )


def build_bank(
    network: PublishedNetwork, batches: Sequence[Batch], sections: Sequence[TrainSection], panel: Panel, target: Target
) -> ReferenceBank:
    """Embed the training spots, beside their expression in ``target`` units; ``batches`` are of ``sections``."""
    with torch.no_grad():
        keys = [network.embed_batch(batch) for batch in batches]
    values = [torch.from_numpy(to_target(section.counts, panel, target)) for section in sections]
    return bank_of(keys, values, sections)
