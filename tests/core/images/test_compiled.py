import os
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from numpy.testing import assert_allclose

from gr2st_core.images.compiled import CompiledEncoder
from gr2st_core.images.networks import NetworkEncoder

MEAN, STD = (0.5, 0.25, 0.4), (0.5, 0.25, 0.1)


def network(name="test_vit"):
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, num_classes=0)


def patches(n, side=160):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_convnext"])
def test_the_compiled_network_is_the_one_given(name):
    eager = NetworkEncoder(network(name), MEAN, STD, device=torch.device("cpu"), half=False)
    assert_allclose(CompiledEncoder(network(name), MEAN, STD, 160)(patches(5)), eager(patches(5)), atol=1e-5)


def test_neither_other_patches_nor_threads_change_a_bit():
    together = CompiledEncoder(network(), MEAN, STD, 160)(patches(7))
    order = np.random.default_rng(1).permutation(7)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threaded = CompiledEncoder(network(), MEAN, STD, 160)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(threaded(patches(7)[order]), together[order])
    assert np.array_equal(np.concatenate([threaded(patch[None]) for patch in patches(7)]), together)


def test_no_more_threads_than_the_process_has():
    compiled = CompiledEncoder(network(), MEAN, STD, 160)._compiled
    threads = torch.get_num_threads()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == compiled.get_property("NUM_STREAMS") == threads
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert not compiled.get_property("ENABLE_CPU_PINNING")


def test_global_settings_of_torch_are_left_alone():
    def state():
        return torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype(), torch.get_rng_state().sum()

    given = network()
    before = state()
    CompiledEncoder(given, MEAN, STD, 160)(patches(1))
    assert state() == before


LISTENING = """
import sys
heard = []
sys.addaudithook(lambda event, arguments: heard.append(event) if event.startswith("socket.") else None)
import numpy as np
from gr2st_core.images.encoders import encoder_spec
encoder_spec("efficientnet_lite0").build("cpu")(np.zeros((1, 224, 224, 3), np.uint8))
assert "openvino" in sys.modules
print([event for event in heard if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto")])
"""


def test_encoding_reports_nothing_to_anyone(tmp_path):
    environment = {**{name: value for name, value in os.environ.items() if name != "CI"}, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LISTENING], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert not (tmp_path / "intel").exists()
