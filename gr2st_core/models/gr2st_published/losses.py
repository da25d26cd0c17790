"""What the published states are trained on, term by term.

Belongs here: the loss terms. Does not belong here: their weights in the sum (``learner``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gr2st_core.models.gr2st_published.graphs import Edges

_LOG_FLOOR = 1e-9


def contrastive(spots: Tensor, images: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE on dot products that are not normalised.

    Parameters
    ----------
    spots, images
        Both ``(n_spots, d_embedding)``, rows paired.

    Returns
    -------
    Nats; ``log(n_spots)`` where all logits are equal.
    """
    logits = spots @ images.T / temperature
    chance = (logits.logsumexp(dim=0) + logits.logsumexp(dim=1)) / 2
    return (chance - logits.diagonal()).mean()


def squared_error(expression: Tensor, predicted: Tensor) -> Tensor:
    """Mean squared error over spots and genes, in squared target units."""
    return (expression - predicted).square().mean()


def gate(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of the gate ``(n_spots, n_classes)`` against dominant classes; unknown is class 0, as published."""
    return cross_entropy(logits, classes)


def attention(weights: Tensor, edges: Edges) -> Tensor:
    """``-sum over heads of a log(a)``, averaged over edges.

    Parameters
    ----------
    weights
        Attention in either layout of `GraphAttention`; pairs without an edge weigh 0 and add 0.

    Notes
    -----
    Not an entropy, though published under that name: it is summed over heads, not over a spot's senders. The weights
    are those in use, after dropout.
    """
    return -torch.sum(weights * (weights + _LOG_FLOOR).log()) / edges.count
