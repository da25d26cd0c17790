"""Reading the outputs of several layers together.

Belongs here: ``LstmJump``. Does not belong here: the layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LstmJump(nn.Module):
    """An LSTM that runs, for each spot by itself, over the outputs of successive layers.

    Parameters
    ----------
    n_layers
        Of the LSTM.
    """

    def __init__(self, d_model: int, n_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d_model, d_model, n_layers)

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:
        """Mean of its outputs over the sequence, ``(n, d_model)``, from tensors of that shape in order of depth."""
        read: Tensor = self.lstm(torch.stack(list(outputs)))[0]
        return read.mean(dim=0)
