"""mclSTExp in training: batches of one section's spots, judged by look-up.

Belongs here: how a section is cut into batches, and the prediction that the inner score is of. Does not belong here:
a step on a batch (``comparators.learner``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.learner import ComparatorLearner, Predict
from gr2st_core.models.comparators.mclstexp.look_up import build_bank, look_up
from gr2st_core.models.comparators.mclstexp.network import MclStExpNetwork
from gr2st_core.training.steps import set_rate


class MclStExpLearner(ComparatorLearner[MclStExpNetwork]):
    """Visits sections in turn and takes a step on each random batch of their spots.

    Parameters
    ----------
    settings
        Of batches, rate and look-up.
    """

    def __init__(
        self,
        network: MclStExpNetwork,
        optimiser: torch.optim.Optimizer,
        train: LazySections,
        validation: LazySections,
        settings: MclStExpSettings,
    ) -> None:
        super().__init__(network, optimiser, train, validation, settings.rate)
        self.settings = settings

    @property
    def n_steps(self) -> int:
        """Batches of all sections."""
        return sum(self._n_batches(section.image.n_spots) for section in self.train.sections)

    def step(self, section: int, epoch: int) -> dict[str, float]:
        """Take an optimiser step on each batch of a section; return the batches' mean loss terms."""
        set_rate(self.optimiser, self.rate(epoch))
        self.network.train()
        inputs, truth = self.train[section]
        logged: list[dict[str, float]] = []
        for batch in self._batches(len(inputs.grid)):
            rows = batch.to(inputs.grid.device)
            logged.append(self.update(inputs.rows(rows), truth.rows(rows)))
            if not all(map(math.isfinite, logged[-1].values())):
                break  # the loop stops here; the parameters stay what they were
        return {term: sum(terms[term] for terms in logged) / len(logged) for term in logged[0]}

    def predicting(self) -> Predict:
        """Embed the training spots, and return the look-up among them."""
        bank = build_bank(self.network, self.train)

        def predict(inputs: SectionInputs) -> Tensor:
            found = look_up(bank, self.network.embed_images(inputs.spots), self.settings)
            return torch.from_numpy(found.expression)

        return predict

    def _n_batches(self, n_spots: int) -> int:
        return math.ceil(n_spots / self.settings.batch_spots)

    def _batches(self, n_spots: int) -> tuple[Tensor, ...]:
        """All spots once, at random, in batches whose sizes differ by one at most: none is left almost alone."""
        batches: tuple[Tensor, ...] = torch.randperm(n_spots).tensor_split(self._n_batches(n_spots))
        return batches
