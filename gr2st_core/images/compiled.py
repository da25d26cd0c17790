"""A frozen network compiled for the CPU by OpenVINO: the same function in a fraction of the time.

Belongs here: conversion, and running the compiled network on all threads of this process. Does not belong here:
GPUs (``networks``), or which network.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gr2st_core.images.pixels import Pixels
from gr2st_core.images.spec import Rgb


class CompiledEncoder:
    """A network as a function from patches to features, compiled when made.

    Every patch goes through the network alone and on one thread, as many at once as the process has threads: so its
    features are the same bytes whatever it is encoded with and however many threads there are.

    Parameters
    ----------
    network
        From normalised float RGB ``(1, 3, size, size)`` to ``(1, width)``.
    mean, std
        Normalisation of RGB on the 0-1 scale.
    input_px
        Side of the patches.
    """

    def __init__(self, network: nn.Module, mean: Rgb, std: Rgb, input_px: int) -> None:
        openvino = _openvino()
        shape = (1, input_px, input_px, 3)
        with warnings.catch_warnings():
            # Traced shape checks become constants, as shapes are here; and how OpenVINO traces is its own affair.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            model = openvino.convert_model(
                _FromPatches(network.eval().requires_grad_(False), mean, std),
                example_input=torch.zeros(shape, dtype=torch.uint8),
                input=[shape],
            )
        threads = torch.get_num_threads()
        options = {
            "INFERENCE_PRECISION_HINT": "f32",  # some processors would round to 16 bits unasked
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # worker processes would all pin to the first cores
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._queue = openvino.AsyncInferQueue(self._compiled, threads)

    def __call__(self, patches: Pixels) -> NDArray[np.float32]:
        """Encode patches, uint8 ``(n, input_px, input_px, 3)``, by float32 ``(n, width)``."""
        features = np.empty((len(patches), self._compiled.output(0).shape[1]), dtype=np.float32)

        def keep(request: Any, row: int) -> None:
            features[row] = request.get_output_tensor(0).data[0]

        self._queue.set_callback(keep)
        for row in range(len(patches)):
            self._queue.start_async({0: np.ascontiguousarray(patches[row : row + 1])}, row)
        self._queue.wait_all()
        return features


class _FromPatches(nn.Module):
    """Normalisation and network in one, so that they are compiled into one."""

    def __init__(self, network: nn.Module, mean: Rgb, std: Rgb) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255)

    def forward(self, patches: Tensor) -> Tensor:
        features: Tensor = self.network((patches.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        return features


def _openvino() -> Any:
    # OpenVINO reports every import to its vendor unless that package is absent; then it takes an empty one of its own.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
