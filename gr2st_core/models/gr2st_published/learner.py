"""The published states in training: the network, its optimiser, its sections.

Belongs here: what a step minimises, and with which optimiser. Does not belong here: the loop
(``gr2st_core.training``), the choice of sections (``predictor``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from gr2st_core.models.gr2st_published.attention import MATRIX_UP_TO
from gr2st_core.models.gr2st_published.batch import Batch, as_batch
from gr2st_core.models.gr2st_published.network import PublishedNetwork, build_network
from gr2st_core.models.gr2st_published.scaling import FeatureScaler
from gr2st_core.settings import Gr2stR1Settings, Gr2stR2Settings
from gr2st_core.training.loop import seeded
from gr2st_core.training.snapshots import restore_tensors, snapshot_tensors
from gr2st_core.training.steps import CapturedStep, PlainStep, Step, restart, set_rate
from gr2st_core.types import Panel, TrainSection


class PublishedLearner:
    """The ``Learner`` of R1 and R2.

    Parameters
    ----------
    sections
        All of them teach; the published states keep nothing back to judge by.
    features
        Encoders to read.
    """

    def __init__(
        self,
        sections: Sequence[TrainSection],
        *,
        panel: Panel,
        seed: int,
        features: tuple[str, ...],
        settings: Gr2stR1Settings | Gr2stR2Settings,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.scaler = FeatureScaler.fit(sections, features)
        self.batches = [as_batch(section, self.scaler, panel, settings, device) for section in sections]
        with seeded(seed, "initialisation"):
            network = build_network(settings, d_features=self.scaler.d_features, n_genes=len(panel))
        self.network = network.to(device)
        self.optimiser = _adam(self.network, settings, device)
        self._optimiser_epoch = 0
        self._step = self._launcher()

    @property
    def n_sections(self) -> int:
        """Steps of an epoch."""
        return len(self.batches)

    def step(self, section: int, epoch: int) -> dict[str, float]:
        """Take one optimiser step on one section."""
        self._enter(epoch)
        self.network.train()
        logged = self._step.gradients(section)
        if not all(map(math.isfinite, logged.values())):
            return logged  # the loop stops here; the parameters stay what they were
        self._step.update()
        return {**logged, "contrastive_chance": math.log(len(self.batches[section].expression))}

    def score(self) -> None:
        """Nothing is left out."""

    def tensors(self) -> dict[str, Tensor]:
        """Parameters, and in R2 the optimiser's state; R1's ends with the epoch."""
        kept = None if isinstance(self.settings, Gr2stR1Settings) else self.optimiser
        return snapshot_tensors(self.network, kept)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what `tensors` returned.

        Raises
        ------
        CheckpointError
        """
        restore_tensors(self.network, self.optimiser, tensors)
        self._step = self._launcher()  # what was captured reads the tensors from before

    def _launcher(self) -> Step:
        terms = partial(_terms, self.network, self.batches, self.settings)
        if not self.batches[0].features.is_cuda:
            return PlainStep(terms, self.optimiser)
        fixed = [number for number, batch in enumerate(self.batches) if len(batch.features) <= MATRIX_UP_TO]
        return CapturedStep(terms, self.optimiser, fixed)

    def _enter(self, epoch: int) -> None:
        """Bring the optimiser to what it is in ``epoch``: anew in each (R1), or slower late (R2)."""
        if isinstance(self.settings, Gr2stR2Settings):
            set_rate(self.optimiser, learning_rate(epoch, self.settings))
        elif epoch != self._optimiser_epoch:
            restart(self.optimiser)
            self._optimiser_epoch = epoch


def weighted(terms: Mapping[str, Tensor], settings: Gr2stR1Settings | Gr2stR2Settings) -> Tensor:
    """Sum of the loss terms as published."""
    if isinstance(settings, Gr2stR1Settings):
        return terms["contrastive"]
    return (
        terms["contrastive"]
        + settings.mse_weight * terms["mse"]
        + settings.gate_weight * terms["gate"]
        + settings.attention_weight * terms["attention"]
    )


def learning_rate(epoch: int, settings: Gr2stR2Settings) -> float:
    """R2's learning rate after ``epoch`` epochs."""
    return settings.learning_rate if epoch < settings.late_epoch else settings.late_learning_rate


def _terms(
    network: PublishedNetwork, batches: Sequence[Batch], settings: Gr2stR1Settings | Gr2stR2Settings, section: int
) -> dict[str, Tensor]:
    """Loss terms of a section and their ``total``."""
    terms = network.loss_terms(batches[section])
    return {**terms, "total": weighted(terms, settings)}


def _adam(
    network: PublishedNetwork, settings: Gr2stR1Settings | Gr2stR2Settings, device: torch.device
) -> torch.optim.Adam:
    rate = settings.learning_rate
    return torch.optim.Adam(
        network.parameters(),
        lr=torch.tensor(rate, device=device) if device.type == "cuda" else rate,  # a captured step reads a tensor
        weight_decay=settings.weight_decay,
        fused=True,
    )
