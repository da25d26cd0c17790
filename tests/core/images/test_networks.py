import numpy as np
import pytest
import torch
from torch import nn

from gr2st_core.errors import ModelError
from gr2st_core.images.networks import NetworkEncoder, pick_device


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
    return NetworkEncoder(network, mean, std, device="cpu", half=True)


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
    assert network.passes == [4, 4]


def test_passes_on_a_cpu_have_one_size_whatever_the_batch():
    network = MeanColour()
    encode = encoder(network)
    for n in (1, 16, 20):
        assert encode(patches(n)).shape == (n, 3)
    assert set(network.passes) == {16}


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_agree_to_a_thousandth():
    from gr2st_core.images.encoders import encoder_spec

    spec = encoder_spec("efficientnet_lite0")
    images = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3), dtype=np.uint8)
    np.testing.assert_allclose(spec.build("cuda")(images), spec.build("cpu")(images), atol=1e-3)
