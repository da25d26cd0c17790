"""A comparator in training: one network, its optimiser, the sections that teach it and those that judge it.

Belongs here: a step on a whole section, and the inner score. Does not belong here: the loop (``gr2st_core.training``),
losses (each network's), the choice of sections (``predictor``), what is particular to one system's training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from gr2st_core.errors import NonFiniteError
from gr2st_core.evaluation.metrics import mean_of_defined
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.lazy import LazySections
from gr2st_core.models.comparators.network import ComparatorNetwork, SectionNetwork
from gr2st_core.models.selection import score_of
from gr2st_core.training.loop import SCORE
from gr2st_core.training.snapshots import restore_tensors, snapshot_tensors
from gr2st_core.training.steps import set_rate

NetworkT = TypeVar("NetworkT", bound=ComparatorNetwork)
Predict = Callable[[SectionInputs], Tensor]
"""From a section to its expression in target units, ``(n_spots, n_genes)``."""


class ComparatorLearner(Generic[NetworkT]):
    """The ``Learner`` of the comparators; a subclass says how its network predicts.

    Parameters
    ----------
    network
        On the device that it trains on.
    optimiser
        Of its parameters.
    train, validation
        Sections that teach and sections that judge.
    rate
        Learning rate after a number of epochs.
    """

    def __init__(
        self,
        network: NetworkT,
        optimiser: torch.optim.Optimizer,
        train: LazySections,
        validation: LazySections,
        rate: Callable[[int], float],
    ) -> None:
        self.network, self.optimiser, self.rate = network, optimiser, rate
        self.train, self.validation = train, validation

    @property
    def n_sections(self) -> int:
        """Sections that an epoch visits."""
        return len(self.train)

    @property
    def n_steps(self) -> int:
        """Optimiser steps of an epoch."""
        return len(self.train)

    def predicting(self) -> Predict:
        """Return the prediction as the parameters now make it; called in evaluation mode, without gradients."""
        raise NotImplementedError

    def step(self, section: int, epoch: int) -> dict[str, float]:
        """Take one optimiser step on one section."""
        set_rate(self.optimiser, self.rate(epoch))
        self.network.train()
        return self.update(*self.train[section])

    def update(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, float]:
        """Take one optimiser step on spots of one section; return the loss terms before it."""
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.network.loss_terms(inputs, truth)
        terms["total"].backward()
        logged = {name: float(term.detach()) for name, term in terms.items()}
        if all(map(math.isfinite, logged.values())):
            self.optimiser.step()
        return logged  # where a term is not finite the loop stops, and the parameters stay what they were

    def score(self) -> dict[str, float] | None:
        """Mean over validation sections of the mean correlation over genes."""
        if not len(self.validation):
            return None
        self.network.eval()
        scores = []
        with torch.no_grad():
            predict = self.predicting()
            for inputs, truth in self.validation:
                predicted = predict(inputs).cpu().numpy()
                if broken := int((~np.isfinite(predicted)).sum()):
                    raise NonFiniteError("inner predictions are not finite", found=broken)
                scores.append(score_of(truth.expression.cpu().numpy(), predicted))
        return {SCORE: mean_of_defined(scores)}

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, buffers and optimiser state."""
        return snapshot_tensors(self.network, self.optimiser)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned.

        Raises
        ------
        CheckpointError
        """
        restore_tensors(self.network, self.optimiser, tensors)


class SectionLearner(ComparatorLearner[SectionNetwork]):
    """Of systems that take one step on each section, and whose network predicts."""

    def predicting(self) -> Predict:
        """Return the network itself."""
        return self.network
