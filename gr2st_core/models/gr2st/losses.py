"""What GR2ST is trained on, term by term.

Belongs here: the four loss terms. Does not belong here: their weights in the sum (``learner``).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def contrastive(spots: Tensor, images: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE: a spot's two embeddings against those of the section's other spots.

    Parameters
    ----------
    spots, images
        Both ``(n_spots, d_embedding)``, rows paired; compared by cosine.
    scale
        Inverse temperature.

    Returns
    -------
    Nats; ``log(n_spots)`` is chance.
    """
    logits = scale * normalize(spots.float()) @ normalize(images.float()).T
    own = torch.arange(len(spots), device=spots.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def gate(logits: Tensor, proportions: Tensor) -> Tensor | None:
    """Cross-entropy of the gate against the share of each cell class; None if no spot's classes are known.

    Parameters
    ----------
    logits, proportions
        ``(n_spots, n_classes)``; a row of NaN is unknown and left out.
    """
    known = ~proportions.isnan().any(dim=1)
    if not known.any():
        return None
    return cross_entropy(logits[known].float(), proportions[known])


def squared_error(expression: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Mean squared error over spots and genes, both standardised; ``weights`` of spots, ``(n_spots,)``, average 1."""
    return (weights[:, None] * (expression - predicted.float()).square()).mean()
