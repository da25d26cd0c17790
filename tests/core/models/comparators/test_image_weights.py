"""Starting weights of image encoders: what fits is read whole, what does not leaves the encoder as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gr2st_core.errors import CheckpointError
from gr2st_core.models.comparators.image_weights import load_image_weights
from gr2st_core.models.comparators.network import without_counters


class Trunk(nn.Module):
    """An encoder of one layer, named as torchvision names such."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
        without_counters(self)


@pytest.fixture
def weights():
    """Of a classifier on that encoder: also its last layer, and the counter of its normalisation."""
    generator = torch.Generator().manual_seed(0)
    drawn = {name: torch.rand(tensor.shape, generator=generator) for name, tensor in Trunk().state_dict().items()}
    return {**drawn, "conv1.1.num_batches_tracked": torch.tensor(7), "fc.weight": torch.ones(2, 4)}


@pytest.fixture
def written(tmp_path):
    def write(tensors) -> str:
        save_file(tensors, tmp_path / "weights.safetensors")
        return str(tmp_path / "weights.safetensors")

    return write


def test_an_encoder_takes_every_weight_but_the_classifiers(weights, written) -> None:
    trunk, file = Trunk(), written(weights)
    said = load_image_weights(trunk, file)
    taken = trunk.state_dict()
    assert len(taken) == 5
    assert all(torch.equal(taken[name], weights[name]) for name in taken)
    assert hashlib.sha256(Path(file).read_bytes()).hexdigest() in said


def test_without_a_file_an_encoder_stays_random_and_the_account_says_so() -> None:
    trunk = Trunk()
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    assert "random" in load_image_weights(trunk, None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trunk.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.0.weight": None}, r"other names.*weights\.safetensors.*expected=\['conv1\.0\.weight'\].*found=fewer"),
        ({"conv2.weight": torch.ones(1)}, r"other names.*expected=no more.*found=\['conv2\.weight'\]"),
        (
            {"conv1.0.weight": torch.ones(4, 3, 5, 5)},
            r"does not fit.*field=conv1\.0\.weight.*expected=\(4, 3, 3, 3\).*found=\(4, 3, 5, 5\)",
        ),
        ({"conv1.1.bias": torch.full((4,), torch.nan)}, r"not finite.*field=conv1\.1\.bias"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(weights, written, change, message) -> None:
    trunk = Trunk()
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    file = written({name: tensor for name, tensor in {**weights, **change}.items() if tensor is not None})
    with pytest.raises(CheckpointError, match=message):
        load_image_weights(trunk, file)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trunk.state_dict().items())


def test_a_file_that_is_missing_or_no_safetensors_is_refused(tmp_path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no tensors")
    for file in (tmp_path / "missing.safetensors", damaged, tmp_path):
        with pytest.raises(CheckpointError, match=r"cannot be read.*file="):
            load_image_weights(Trunk(), str(file))
