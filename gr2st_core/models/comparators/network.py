"""What the learner asks of a comparator's network.

Belongs here: the base classes, and reading rows in portions. Does not belong here: any system.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth

PORTION = 256
"""Spots whose patches are in a stem at once when predicting."""


class ComparatorNetwork(nn.Module):
    """What can be trained on sections."""

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Terms of the loss of spots of one section, and what is minimised as ``total``."""
        raise NotImplementedError


class SectionNetwork(ComparatorNetwork):
    """From a section to its expression, all spots at once.

    ``forward`` is a function of its input alone in evaluation mode, and permuting spots permutes what it returns.
    """

    def forward(self, inputs: SectionInputs) -> Tensor:
        """Predict expression in target units, float32 ``(n_spots, n_genes)``."""
        raise NotImplementedError

    def loss_terms(self, inputs: SectionInputs, truth: SectionTruth) -> dict[str, Tensor]:
        """Terms of the loss of a section, and what is minimised as ``total``."""
        mse = mse_loss(self(inputs), truth.expression)
        return {"mse": mse, "total": mse}


def in_portions(stem: nn.Module, spots: Tensor) -> Tensor:
    """Run a stem over rows: when predicting in portions, since memory would be short and rows stand by themselves.

    In training batch normalisation reads all rows of a section, and gradients need them anyway. A single row has no
    spread to be normalised by: it is normalised as when predicting.
    """
    if not stem.training:
        return torch.cat([stem(portion) for portion in spots.split(PORTION)])
    if len(spots) > 1:
        whole: Tensor = stem(spots)
        return whole
    single: Tensor = stem.eval()(spots)
    stem.train()
    return single


def without_counters(network: nn.Module) -> None:
    """Drop the counts of batches that normalisation layers keep and nothing reads, also from what is loaded."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):  # noqa: SLF001 - torch has no public name for them all
            module.register_buffer("num_batches_tracked", None)
            module.register_load_state_dict_pre_hook(_ignore_counter)


def _ignore_counter(_: nn.Module, tensors: dict[str, Tensor], prefix: str, *__: object) -> None:
    tensors.pop(f"{prefix}num_batches_tracked", None)  # torch adds it to tensors that come without a version
