"""mclSTExp as a method.

Belongs here: its name, network, training and departures from what was published. Does not belong here: the course of a
fit (``comparators.predictor``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pandas as pd

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.models.comparators.image_weights import load_image_weights
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.learner import ComparatorLearner
from gr2st_core.models.comparators.mclstexp.fitted import FittedMclStExp
from gr2st_core.models.comparators.mclstexp.learner import MclStExpLearner
from gr2st_core.models.comparators.mclstexp.look_up import build_bank
from gr2st_core.models.comparators.mclstexp.network import MclStExpNetwork
from gr2st_core.models.comparators.predictor import ComparatorPredictor
from gr2st_core.models.comparators.sources import Reader
from gr2st_core.models.gr2st.stored import read_bank
from gr2st_core.predictor import ModelState
from gr2st_core.types import Panel


class MclStExpPredictor(ComparatorPredictor[MclStExpSettings, MclStExpNetwork, FittedMclStExp]):
    """mclSTExp."""

    method: ClassVar[str] = "mclstexp"
    deviations: ClassVar[tuple[str, ...]] = (
        "trained on the target that is scored, and that target is looked up (published: scaled per gene and section)",
        "a batch holds spots of one section (published: of any), as attention mixes the spots of a batch",
        "the bank embeds each section as a whole and by itself (published: 32 spots at a time, across sections)",
        "k and the distance are those published for her2st, whatever the cohort",
        "the number of epochs is chosen on an inner split (published: 90, no validation)",
        "position tables have n_positions rows (published: 65,536, nearly all unused); larger grids are shrunk to fit",
        "colours of a batch's patches change in one random order (published: one for each patch)",
        "no dropout unless settings say otherwise: that of the projections has no published rate",
        "frozen features, where they stand for pixels, are not augmented",
    )

    def network(self, row_shape: tuple[int, ...], n_genes: int) -> MclStExpNetwork:
        """Build the network."""
        return MclStExpNetwork(self.settings, row_shape, n_genes)

    def initialise(self, network: MclStExpNetwork, train: LazySections) -> tuple[str, ...]:  # noqa: ARG002
        """Give the image encoder its starting weights, if there is one."""
        if network.encoder is None:
            return ()
        return (load_image_weights(network.encoder, self.settings.image_weights),)

    def learner(self, network: MclStExpNetwork, train: LazySections, validation: LazySections) -> MclStExpLearner:
        """Batches of one section."""
        return MclStExpLearner(network, self.optimiser(network), train, validation, self.settings)

    def fitted(
        self,
        learner: ComparatorLearner[MclStExpNetwork],
        panel: Panel,
        config: Mapping[str, Any],
        history: pd.DataFrame,
    ) -> FittedMclStExp:
        """Fill the bank with all training spots."""
        bank = build_bank(learner.network, learner.train)
        return FittedMclStExp(
            learner.network, learner.train.reader, panel, config, history, bank=bank, settings=self.settings
        )

    def restored(
        self, network: MclStExpNetwork, reader: Reader, settings: MclStExpSettings, panel: Panel, state: ModelState
    ) -> FittedMclStExp:
        """Read the bank."""
        bank = read_bank(state.bank, settings.d_embedding, len(panel))
        return FittedMclStExp(network, reader, panel, state.config, state.history, bank=bank, settings=settings)
