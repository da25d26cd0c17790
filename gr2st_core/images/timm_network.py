"""Any timm network as a feature extractor: described without weights, loaded strictly.

Belongs here: building a network, reading a weights file, pooling tokens. Does not belong here: which networks are
known and what they are called (``hub``), running them (``networks``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # the name of torch's refusal; nothing is unpickled
from typing import Any, Literal

import huggingface_hub
import safetensors.torch
import timm
import torch
from safetensors import SafetensorError
from timm.layers.mlp import SwiGLUPacked
from torch import Tensor, nn

from gr2st_core.errors import CheckpointError, MissingArtifactError, SettingsError
from gr2st_core.images.spec import Rgb

Pool = Literal["model", "token", "mean", "token_and_mean"]
"""The model's own pooling; or of a transformer's last layer: class token, mean of the patch tokens, both."""

_MISSING_HINT = (
    "fetch the weights where there is a network (gated models: accept the licence and log in), or name a local copy"
)


@dataclass(frozen=True, slots=True)
class Description:
    """What a network's own configuration says of it."""

    input_px: int
    mean: Rgb
    std: Rgb
    width: int
    licence: str


class Pooled(nn.Module):
    """A network whose output is one row of numbers per image."""

    def __init__(self, network: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.network = network
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(n, width)`` of images ``(n, 3, size, size)``."""
        net: Any = self.network
        if self.pool == "model":
            return self._flat(net(images))
        tokens: Tensor = net.forward_features(images)
        prefix = getattr(net, "num_prefix_tokens", 0)
        if tokens.ndim != 3 or (prefix == 0 and self.pool != "mean"):
            raise SettingsError("the network has no such tokens to pool", field="pool", found=self.pool, hint="model")
        mean = tokens[:, prefix:].mean(dim=1)
        if self.pool == "mean":
            return mean
        return tokens[:, 0] if self.pool == "token" else torch.cat([tokens[:, 0], mean], dim=1)

    def _flat(self, features: Tensor) -> Tensor:
        if features.ndim != 2:
            raise SettingsError(
                "the network does not pool by itself", field="pool", found=self.pool, expected="token, mean, ..."
            )
        return features


def describe(model_id: str, pool: Pool) -> Description:
    """Read a network's configuration and trace its shapes, without weights.

    Parameters
    ----------
    model_id
        ``timm:NAME``, ``hf-hub:OWNER/MODEL[@REVISION]`` or ``local-dir:FOLDER``.

    Raises
    ------
    SettingsError
        No such network, or the pooling does not suit it.
    MissingArtifactError
        Its configuration cannot be had.
    """
    with torch.device("meta"):
        network: Any = _create(model_id, {}, pretrained=False)
        network.reset_classifier(0)
        config = network.pretrained_cfg
        side = config["input_size"][-1]
        with torch.inference_mode():
            width = Pooled(network.eval(), pool)(torch.zeros(1, 3, side, side)).shape[1]
    licence = config.get("license") or "not stated"
    return Description(side, tuple(config["mean"]), tuple(config["std"]), width, licence)


def load_network(
    model_id: str, *, pool: Pool, weights: Path | None = None, options: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a network with weights from a file, or with those of its name, which timm fetches if it must.

    Parameters
    ----------
    weights
        Tensors in the network's own names, or in those of transformers' DINOv2.
    options
        Further arguments of the network; ``swiglu`` stands for packed SwiGLU layers.

    Raises
    ------
    SettingsError
        No such network.
    MissingArtifactError
        The weights cannot be had.
    CheckpointError
        They do not fit the network, or a file holds more than tensors.
    """
    network: Any = _create(model_id, dict(options or {}), pretrained=weights is None)
    network.reset_classifier(0)
    if weights is not None:
        _load(network, weights)
    return Pooled(network, pool)


def fetch_weights(repository: str, file: str) -> Path:
    """Local copy of a file of a hub repository, fetched if it is not in the user's cache.

    Raises
    ------
    MissingArtifactError
    """
    try:
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except OSError as error:
        raise _missing(f"hf-hub:{repository}", error) from error


def _missing(model_id: str, error: OSError) -> MissingArtifactError:
    return MissingArtifactError(
        "the encoder cannot be had", encoder=model_id, found=str(error).split("\n")[0], hint=_MISSING_HINT
    )


def _create(model_id: str, options: dict[str, Any], *, pretrained: bool) -> nn.Module:
    if options.pop("swiglu", False):
        options |= {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    # The classifier is removed afterwards: asked for a network without one, timm loads weights with gaps in silence.
    # Its random initial weights must not advance the caller's random numbers.
    try:
        with torch.random.fork_rng(devices=[]):
            network: nn.Module = timm.create_model(model_id.removeprefix("timm:"), pretrained=pretrained, **options)
    except OSError as error:
        raise _missing(model_id, error) from error
    except (RuntimeError, ValueError) as error:
        raise SettingsError("timm cannot build this network", encoder=model_id, found=str(error)) from error
    return network


def _load(network: Any, weights: Path) -> None:
    state = _read_tensors(weights)
    if "embeddings.cls_token" in state:
        state = timm_names_of_dinov2(state)
    classifier = network.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ((classifier,) if isinstance(classifier, str) else classifier))
    try:
        network.load_state_dict({name: t for name, t in state.items() if not name.startswith(heads)}, strict=True)
    except RuntimeError as error:
        raise CheckpointError("the weights do not fit the network", file=weights, found=str(error)) from error


def _read_tensors(weights: Path) -> dict[str, Tensor]:
    try:
        if weights.suffix == ".safetensors":
            state: dict[str, Tensor] = safetensors.torch.load_file(weights)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise MissingArtifactError("encoder weights are missing", file=weights, hint=_MISSING_HINT) from error
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError, UnpicklingError) as error:
        raise CheckpointError("the weights cannot be read", file=weights, found=str(error).split("\n")[0]) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError("a weights file holds named tensors alone", file=weights, found=type(state).__name__)
    return state


_DINOV2_TOP = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_DINOV2_LAYER = {
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}


def timm_names_of_dinov2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename transformers' ``Dinov2Model`` to timm's vision transformer; query, key and value become one matrix."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        layer = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", name)
        if layer is None:
            if name != "embeddings.mask_token":
                renamed[_DINOV2_TOP.get(name, name)] = tensor
            continue
        block, part = f"blocks.{layer[1]}", layer[2]
        if part.startswith("attention.attention."):
            if (query := part.partition("query."))[1]:
                parts = [state[name.replace(".query.", f".{kind}.")] for kind in ("query", "key", "value")]
                renamed[f"{block}.attn.qkv.{query[2]}"] = torch.cat(parts)
            continue
        for old, new in _DINOV2_LAYER.items():
            part = part.replace(old, new)
        renamed[f"{block}.{part}"] = tensor
    return renamed
