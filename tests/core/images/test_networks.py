import copy

import numpy as np
import pytest
import timm
import torch
from torch import nn

from gr2st_core.errors import ModelError
from gr2st_core.images.compiled import CompiledEncoder
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.networks import NetworkEncoder, network_encoder, pick_device


class MeanColour(nn.Module):
    """Returns each image's mean per channel, and fails above a number of images like a full device would."""

    def __init__(self, fits=1000):
        super().__init__()
        self.fits, self.passes = fits, []

    def forward(self, images):
        if len(images) > self.fits:
            raise torch.OutOfMemoryError("full")
        self.passes.append(len(images))
        return images.mean(dim=(2, 3))


def patches(n):
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def encoder(network, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)):
    return NetworkEncoder(network, mean, std, device=torch.device("cpu"), half=True)


def test_colours_reach_the_network_in_order_and_normalised():
    red = np.zeros((1, 8, 8, 3), dtype=np.uint8)
    red[..., 0] = 255
    features = encoder(MeanColour(), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 0.1))(red)
    assert features.dtype == np.float32
    assert features[0].tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-6)


def test_a_full_memory_halves_the_pass_and_keeps_every_row():
    network = MeanColour(fits=5)
    halving = encoder(network)
    everything = encoder(MeanColour())(patches(23))
    assert np.array_equal(halving(patches(23)), everything)
    assert max(network.passes) <= 5
    network.passes.clear()
    halving(patches(8))
    assert network.passes == [5, 3]


def test_a_patch_that_does_not_fit_alone_is_an_error():
    with pytest.raises(ModelError, match="one patch does not fit") as caught:
        encoder(MeanColour(fits=0))(patches(4))
    assert caught.value.context["found"] == "cpu"


def test_global_settings_of_torch_are_left_alone():
    def state():
        cudnn = torch.backends.cudnn
        return torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype(), cudnn.deterministic

    before = state()
    encoder(MeanColour())(patches(3))
    assert state() == before


def test_a_requested_device_is_taken_and_none_finds_one():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device().type in {"cuda", "mps", "cpu"}


def test_a_cpu_gets_the_compiled_network():
    compiled = network_encoder(MeanColour(), (0.5,) * 3, (0.5,) * 3, input_px=8, device="cpu", half=True)
    assert isinstance(compiled, CompiledEncoder)


NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def drawn(n=8, side=224):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite0_rot"])
def test_gpu_and_cpu_agree_to_a_thousandth(name):
    spec = encoder_spec(name)
    np.testing.assert_allclose(spec.build("cuda")(drawn()), spec.build("cpu")(drawn()), atol=1e-3)


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize(("half", "tolerance"), [(False, 1e-3), (True, 3e-2)])
def test_a_transformer_on_a_gpu_agrees_with_the_cpu(half, tolerance):
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=0)
    on_gpu, on_cpu = (
        network_encoder(copy.deepcopy(network), (0.5,) * 3, (0.5,) * 3, input_px=160, device=device, half=half)(
            drawn(side=160)
        )
        for device in ("cuda", "cpu")
    )
    assert on_gpu.dtype == np.float32
    assert np.linalg.norm(on_gpu - on_cpu) < tolerance * np.linalg.norm(on_cpu)
