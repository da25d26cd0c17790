"""Weights that an image encoder starts from, where a user has them.

Belongs here: a file of weights into an encoder, every name and shape checked. Does not belong here: encoders, stored
models (``gr2st_core.training.checkpoint``), downloads: nothing here reads more than the named file.

A file is safetensors with torchvision's parameter names; ``docs/comparators.md`` shows how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gr2st_core.containers.checksums import file_sha256
from gr2st_core.errors import CheckpointError

CLASSIFIERS = ("fc.", "classifier.")
"""What torchvision calls the layers that turn an encoder into a classifier; they are not read."""

COUNTER = "num_batches_tracked"
"""A number beside each batch normalisation that nothing reads."""

RANDOM = "the image encoder starts from random weights: none were given (image_weights; published: ImageNet's)"
"""What an account says without a file."""


def load_image_weights(network: nn.Module, file: str | None) -> str:
    """Give an encoder its starting weights.

    Parameters
    ----------
    network
        The encoder, its parameters and buffers named as torchvision's. It stays as it is if ``file`` is None or does
        not fit.
    file
        Path of a safetensors file that holds all of them; a classifier's layers in it are ignored.

    Returns
    -------
    A sentence for the account of a training: whether the encoder starts from given weights, and the file's SHA-256.

    Raises
    ------
    CheckpointError
        The file cannot be read, or a name, shape or number in it is not what the encoder needs.
    """
    if file is None:
        return RANDOM
    found = {name: tensor for name, tensor in _read(file).items() if not name.startswith(CLASSIFIERS)}
    own = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(COUNTER)}
    given = {name: tensor for name, tensor in found.items() if not name.endswith(COUNTER)}
    _require_fit(file, own, given)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])
    return f"the image encoder starts from weights that were given, SHA-256 {file_sha256(Path(file))}"


def _read(file: str) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"a file of image weights cannot be read: {error}", file=file) from error


def _require_fit(file: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    if set(own) != set(given):
        raise CheckpointError(
            "a file of image weights has other names than the encoder",
            file=file,
            expected=sorted(set(own) - set(given))[:3] or "no more",
            found=sorted(set(given) - set(own))[:3] or "fewer",
            hint="see docs/comparators.md",
        )
    for name, tensor in own.items():
        if (shape := tuple(given[name].shape)) != tuple(tensor.shape):
            raise CheckpointError(
                "a file of image weights does not fit the encoder",
                file=file,
                field=name,
                expected=tuple(tensor.shape),
                found=shape,
            )
        if not torch.isfinite(given[name]).all():
            raise CheckpointError("a file of image weights holds numbers that are not finite", file=file, field=name)
