"""Running a frozen network over patches: device, precision, memory.

Belongs here: the choice between GPU and CPU, and on a GPU everything between uint8 patches and a network's output.
Does not belong here: the CPU (``compiled``); which network, and where its weights come from (``efficientnet``,
``hub``).
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gr2st_core.errors import ModelError
from gr2st_core.images.compiled import CompiledEncoder
from gr2st_core.images.pixels import Pixels
from gr2st_core.images.spec import Encode, Rgb


def pick_device(requested: str | None = None) -> torch.device:
    """Device to encode on: the requested one, else cuda, else mps, else cpu.

    Frozen networks run on mps; training takes cuda or cpu only (``gr2st_core.training.device``).
    """
    if requested is not None:
        return torch.device(requested)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def network_encoder(
    network: nn.Module, mean: Rgb, std: Rgb, *, input_px: int, device: str | None = None, half: bool
) -> Encode:
    """Encoder of a network on a device, compiled if that is a CPU; parameters as of ``NetworkEncoder``."""
    chosen = pick_device(device)
    if chosen.type == "cpu":
        return CompiledEncoder(network, mean, std, input_px)
    return NetworkEncoder(network, mean, std, device=chosen, half=half)


class NetworkEncoder:
    """A network as a function from patches to features, as PyTorch runs it.

    Parameters
    ----------
    network
        From normalised float RGB ``(n, 3, size, size)`` to ``(n, width)``.
    mean, std
        Normalisation of RGB on the 0-1 scale.
    half
        Compute in 16 bits on a GPU: right for large transformers, which are trained so. Without it a GPU
        agrees with the CPU to 1e-3. A CPU always computes in 32 bits.
    """

    def __init__(self, network: nn.Module, mean: Rgb, std: Rgb, *, device: torch.device, half: bool) -> None:
        self.device = device
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self.mean = torch.tensor(mean, device=self.device).view(1, 3, 1, 1) * 255
        self.std = torch.tensor(std, device=self.device).view(1, 3, 1, 1) * 255
        self.half = half and self.device.type == "cuda"
        self.piece: int | None = None

    def __call__(self, patches: Pixels) -> NDArray[np.float32]:
        """Encode patches in passes that fit the memory; a pass that does not is halved, and stays so.

        Raises
        ------
        ModelError
            Not even one patch fits.
        """
        done: list[NDArray[np.float32]] = []
        start = 0
        while start < len(patches):
            piece = patches[start : start + (self.piece or len(patches))]
            try:
                done.append(self._forward(piece))
            except torch.OutOfMemoryError as error:
                if len(piece) == 1:
                    raise ModelError("one patch does not fit the device's memory", found=str(self.device)) from error
                self.piece = len(piece) // 2
                continue
            start += len(piece)
        return np.concatenate(done)

    def _forward(self, patches: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode(), self._precision():
            images = torch.from_numpy(patches).to(self.device).permute(0, 3, 1, 2)
            normalised = (images.float() - self.mean) / self.std
            features = self.network(normalised.contiguous(memory_format=torch.channels_last))
        numbers: NDArray[np.float32] = features.float().cpu().numpy()
        return numbers

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.device.type != "cuda":
            return contextlib.nullcontext()
        if not self.half:
            # Convolutions round to 10 bits on recent GPUs unless told otherwise; the flag is restored on leaving.
            full: contextlib.AbstractContextManager[object] = torch.backends.cudnn.flags(
                enabled=True, deterministic=True, allow_tf32=False
            )
            return full
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        half: contextlib.AbstractContextManager[object] = torch.autocast("cuda", dtype=dtype)
        return half
