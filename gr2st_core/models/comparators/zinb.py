"""Molecule counts as draws from a zero-inflated negative binomial.

Belongs here: the head that predicts its parameters and the likelihood of counts. Does not belong here: the prediction
that is scored (each system's own head), how much the loss weighs (settings).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

MEANS = (1e-5, 1e6)
"""Range of means, in molecules of a spot of median depth."""
DISPERSIONS = (1e-4, 1e4)


@dataclass(frozen=True, slots=True)
class Zinb:
    """Parameters of the distribution of every count, each ``(n_spots, n_genes)``.

    Attributes
    ----------
    mean
        Of the negative binomial for a size factor of 1, within ``MEANS``.
    dispersion
        Inverse overdispersion: variance = mean + mean squared / dispersion; within ``DISPERSIONS``.
    dropout_logit
        Log odds of a zero that is not drawn from the negative binomial.
    """

    mean: Tensor
    dispersion: Tensor
    dropout_logit: Tensor

    @property
    def dropout(self) -> Tensor:
        """Probability of such a zero."""
        return self.dropout_logit.sigmoid()


class ZinbHead(nn.Module):
    """Three linear layers from a spot's row to the distribution of its counts."""

    def __init__(self, d_model: int, n_genes: int) -> None:
        super().__init__()
        self.mean, self.dispersion, self.dropout = (nn.Linear(d_model, n_genes) for _ in range(3))

    def forward(self, rows: Tensor) -> Zinb:
        """Predict from ``(n_spots, d_model)``."""
        # The exponent is bounded before it is taken: beyond the bound its gradient would be infinity times zero.
        log_mean = self.mean(rows).clamp(*map(math.log, MEANS))
        return Zinb(log_mean.exp(), softplus(self.dispersion(rows)).clamp(*DISPERSIONS), self.dropout(rows))


def zinb_loss(counts: Tensor, zinb: Zinb, size_factors: Tensor) -> Tensor:
    """Mean negative log-likelihood over all entries.

    Parameters
    ----------
    counts
        Molecules, float ``(n_spots, n_genes)``.
    size_factors
        Depth of a spot over its section's median, above 0, ``(n_spots,)``; multiplies the means.
    """
    theta, mean = zinb.dispersion, zinb.mean * size_factors[:, None]
    log_ratio = torch.log1p(mean / theta)
    log_kept = logsigmoid(-zinb.dropout_logit)
    log_zero = torch.logaddexp(logsigmoid(zinb.dropout_logit), log_kept - theta * log_ratio)
    log_choices = torch.lgamma(counts + theta) - torch.lgamma(counts + 1) - torch.lgamma(theta)
    log_some = log_kept + log_choices - (counts + theta) * log_ratio + counts * (mean.log() - theta.log())
    return -torch.where(counts == 0, log_zero, log_some).mean()
