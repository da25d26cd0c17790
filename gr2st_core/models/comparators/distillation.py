"""Self-distillation: what a network says of changed patches must agree with what it says of the patches themselves.

Belongs here: how patches are changed, how the passes over them are combined, the loss. Does not belong here: networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

GREY_SHARE = 0.1
FLIP_SHARE = 0.2
_LUMA = (0.299, 0.587, 0.114)


class SelfDistillation(nn.Module):
    """Compares a clean prediction with a weighted mean of predictions from changed patches.

    The weights of a spot's passes are learnt from their embeddings: a softmax over passes of a score of each.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, 1))

    def forward(self, embeddings: Sequence[Tensor], predictions: Sequence[Tensor], clean: Tensor) -> Tensor:
        """Mean squared difference; the gradient reaches the clean prediction too.

        Parameters
        ----------
        embeddings
            One tensor ``(n_spots, d_model)`` for each pass: what its prediction was read from.
        predictions
            One tensor ``(n_spots, n_genes)`` for each pass.
        clean
            Prediction from the patches themselves, ``(n_spots, n_genes)``.
        """
        weights = self.score(torch.stack(list(embeddings))).softmax(dim=0)
        return mse_loss((weights * torch.stack(list(predictions))).sum(dim=0), clean)


def changed(patches: Tensor) -> Tensor:
    """Turn all patches by quarter turns, now and then mirror them or take their colour.

    One draw of torch's global generator serves all patches of a section.

    Parameters
    ----------
    patches
        uint8 ``(n_spots, 3, input_px, input_px)``, as is what returns.
    """
    grey, turn, flip = torch.rand(3).tolist()
    patches = patches.rot90(int(4 * turn), dims=(2, 3))
    if flip < FLIP_SHARE:
        patches = patches.flip(3)
    return without_colour(patches) if grey < GREY_SHARE else patches


def without_colour(patches: Tensor) -> Tensor:
    """Brightness in all three channels, uint8 ``(n_spots, 3, input_px, input_px)``."""
    luma = torch.tensor(_LUMA, device=patches.device)[:, None, None]
    return (patches * luma).sum(dim=1, keepdim=True).round().to(patches.dtype).expand_as(patches)
