"""Where tensors are computed.

Belongs here: the choice of device for training and prediction. Does not belong here: data or models, the encoders'
own choice (``gr2st_core.images.networks``, which also takes Apple's).

All training is in float32: half precision would part the GPU's results from the CPU's by more than 1e-3.
"""

from __future__ import annotations

import torch


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
