"""What is common to the comparators that take a section at once.

Belongs here: how they learn, predict and come back from the lake. Does not belong here: the course of a fit
(``predictor``), networks (a folder per system).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pandas as pd

from gr2st_core.comparator_settings.base import ComparatorSettings
from gr2st_core.models.comparators.fitted import FittedSections
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.learner import ComparatorLearner, SectionLearner
from gr2st_core.models.comparators.network import SectionNetwork
from gr2st_core.models.comparators.predictor import ComparatorPredictor
from gr2st_core.models.comparators.sources import Reader
from gr2st_core.predictor import ModelState
from gr2st_core.types import Panel

SettingsT = TypeVar("SettingsT", bound=ComparatorSettings)


class SectionPredictor(ComparatorPredictor[SettingsT, SectionNetwork, FittedSections]):
    """A system that trains on whole sections and predicts a section at once."""

    def learner(self, network: SectionNetwork, train: LazySections, validation: LazySections) -> SectionLearner:
        """One step on each section."""
        return SectionLearner(network, self.optimiser(network), train, validation, self.settings.rate)

    def fitted(
        self, learner: ComparatorLearner[SectionNetwork], panel: Panel, config: Mapping[str, Any], history: pd.DataFrame
    ) -> FittedSections:
        """Keep network and reader."""
        return FittedSections(
            learner.network, learner.train.reader, panel, config, history, n_positions=self.settings.n_positions
        )

    def restored(
        self, network: SectionNetwork, reader: Reader, settings: SettingsT, panel: Panel, state: ModelState
    ) -> FittedSections:
        """Nothing but network and reader is needed."""
        return FittedSections(network, reader, panel, state.config, state.history, n_positions=settings.n_positions)
