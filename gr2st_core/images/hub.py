"""Encoders from timm, the Hugging Face hub, or a file: named by the user, never fetched unasked.

Belongs here: the pathology models known by name, and describing any other. Does not belong here: networks
(``timm_network``), or the encoders that come with the project (``encoders``).

A model id is ``timm:NAME``, ``hf-hub:OWNER/MODEL[@REVISION]`` or ``local-dir:FOLDER``, a copy of a hub repository.
Gated models need the user's own login at the hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr2st_core.errors import MissingArtifactError, SettingsError
from gr2st_core.images.spec import Encode, EncoderSpec, Rgb

if TYPE_CHECKING:
    from gr2st_core.images.timm_network import Pool

SPAN_UM = 112.0
"""What 224 px show at 0.5 um per px (20x), on which pathology models are trained."""

_INPUT_PX = 224
_SOURCES = ("timm:", "hf-hub:", "local-dir:")
_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class HubModel:
    """A pathology model as its authors document it; each sees 224 px at 0.5 um per px.

    Attributes
    ----------
    repository
        Owner and name at the hub.
    architecture
        Timm's network where the repository is not in timm's layout, else None.
    options
        Arguments of the network that the repository leaves to its user.
    """

    repository: str
    pool: Pool
    width: int
    licence: str
    mean: Rgb = (0.485, 0.456, 0.406)
    std: Rgb = (0.229, 0.224, 0.225)
    options: Mapping[str, Any] = field(default_factory=dict)
    architecture: str | None = None


_LAYER_SCALE = {"init_values": 1e-5}
_UNI2 = {
    "img_size": 224,
    "patch_size": 14,
    "depth": 24,
    "num_heads": 24,
    "init_values": 1e-5,
    "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2,
    "no_embed_class": True,
    "reg_tokens": 8,
    "swiglu": True,
}

HUB_MODELS: dict[str, HubModel] = {
    "phikon_v2": HubModel(
        "owkin/phikon-v2",
        "token",
        1024,
        "Owkin, non-commercial",
        options=_LAYER_SCALE,
        architecture="timm:vit_large_patch16_224",
    ),
    "uni": HubModel("MahmoodLab/UNI", "token", 1024, "CC-BY-NC-ND-4.0, gated", options=_LAYER_SCALE),
    "uni2_h": HubModel("MahmoodLab/UNI2-h", "token", 1536, "CC-BY-NC-ND-4.0, gated", options=_UNI2),
    "h_optimus_0": HubModel(
        "bioptimus/H-optimus-0",
        "token",
        1536,
        "Apache-2.0, gated",
        options=_LAYER_SCALE,
        mean=(0.707223, 0.578729, 0.703617),
        std=(0.211883, 0.230117, 0.177517),
    ),
    "virchow": HubModel("paige-ai/Virchow", "token_and_mean", 2560, "Apache-2.0, gated", options={"swiglu": True}),
}


def known_hub_encoder(name: str, copy: Path | None = None) -> EncoderSpec:
    """Describe one of ``HUB_MODELS``; nothing is fetched before it is built.

    Parameters
    ----------
    copy
        Folder with a copy of the model's repository, to be used instead of the hub.

    Raises
    ------
    MissingArtifactError
        The copy holds no weights.
    """
    model = HUB_MODELS[name]
    weights = None if copy is None else _weights_in(copy)

    def build(device: str | None) -> Encode:
        from gr2st_core.images.networks import network_encoder
        from gr2st_core.images.timm_network import fetch_weights, load_network

        if model.architecture is not None:
            file = weights or fetch_weights(model.repository, _WEIGHTS_FILES[0])
            network = load_network(model.architecture, pool=model.pool, weights=file, options=model.options)
        else:
            model_id = f"hf-hub:{model.repository}" if copy is None else f"local-dir:{copy}"
            network = load_network(model_id, pool=model.pool, weights=weights, options=model.options)
        return network_encoder(network, model.mean, model.std, input_px=_INPUT_PX, device=device, half=True)

    return EncoderSpec(
        name=name,
        input_px=_INPUT_PX,
        span_um=SPAN_UM,
        mean=model.mean,
        std=model.std,
        width=model.width,
        licence=model.licence,
        sha256=None if weights is None else _sha256(weights),
        source=f"hf-hub:{model.repository}",
        build=build,
    )


def hub_encoder(
    name: str, model_id: str, *, span_um: float = SPAN_UM, weights: Path | None = None, pool: Pool = "model"
) -> EncoderSpec:
    """Describe any timm network as an encoder; input size and normalisation are those of its own configuration.

    The configuration of a hub model is read at once, its weights are fetched when it is built.

    Parameters
    ----------
    model_id
        ``timm:NAME``, ``hf-hub:OWNER/MODEL[@REVISION]`` or ``local-dir:FOLDER``.
    span_um
        Side of a patch.
    weights
        Local file to take the weights from, ``.safetensors`` or a PyTorch file of tensors alone.
    pool
        How the last layer becomes one row of numbers.

    Raises
    ------
    SettingsError
        The model id names no network, or the pooling does not suit it.
    MissingArtifactError
        The file is missing, or the hub cannot be reached.
    """
    if not model_id.startswith(_SOURCES):
        raise SettingsError(
            "a model id begins with its source", field="model_id", found=repr(model_id), expected=" ".join(_SOURCES)
        )
    if weights is None and model_id.startswith("local-dir:"):
        weights = _weights_in(Path(model_id.removeprefix("local-dir:")))
    sha256 = None if weights is None else _sha256(weights)
    from gr2st_core.images.timm_network import describe

    described = describe(model_id, pool)

    def build(device: str | None) -> Encode:
        from gr2st_core.images.networks import network_encoder
        from gr2st_core.images.timm_network import load_network

        network = load_network(model_id, pool=pool, weights=weights)
        mean, std, side = described.mean, described.std, described.input_px
        return network_encoder(network, mean, std, input_px=side, device=device, half=True)

    source = f"{model_id} pool={pool}" if weights is None else f"{model_id} pool={pool} weights={weights.name}"
    return EncoderSpec(
        name=name,
        input_px=described.input_px,
        span_um=span_um,
        mean=described.mean,
        std=described.std,
        width=described.width,
        licence=described.licence,
        sha256=sha256,
        source=source,
        build=build,
    )


def _weights_in(folder: Path) -> Path:
    for name in _WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    raise MissingArtifactError("the folder holds no weights", file=folder, expected=" or ".join(_WEIGHTS_FILES))


def _sha256(weights: Path) -> str:
    try:
        with weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MissingArtifactError("encoder weights cannot be read", file=weights, found=str(error)) from error
