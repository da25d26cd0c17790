import importlib.metadata

import numpy as np
import pytest
import timm
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional

from gr2st_core.errors import CheckpointError, MissingArtifactError
from gr2st_core.images import efficientnet
from gr2st_core.images.efficientnet import MultiStage, folded, load_lite0, timm_names
from gr2st_core.images.encoders import encoder_spec
from gr2st_core.images.networks import network_encoder

SPEC = encoder_spec("efficientnet_lite0")
GOLDEN = {
    0: -8.65236,
    24: 4.92252,
    48: -2.08991,
    88: 7.93602,
    128: 8.43366,
    240: 3.59875,
    352: 1.06697,
    672: 0.71513,
    1105: 5.28024,
    1397: 4.08166,
    1981: 3.52872,
    1889: 3.18770,
}
"""Column -> value for the generated patch."""


@pytest.fixture(scope="module")
def encode():
    return SPEC.build("cpu")


@pytest.fixture(scope="module")
def weights():
    file = next(f for f in importlib.metadata.files(efficientnet.PACKAGE) if f.suffix == ".pth")
    return torch.load(file.locate(), weights_only=True)


def generated_patch():
    y, x, colour = np.meshgrid(np.arange(224), np.arange(224), np.arange(3), indexing="ij")
    return ((3 * x + 5 * y + 70 * colour + x * y // 64) % 256).astype(np.uint8)


def written_out(weights, image):
    """The network from the weights' own names: explicit asymmetric padding, plain batch norm, no library model."""

    def conv(x, name, stride=1, groups=1):
        kernel = weights[f"{name}.weight"]
        size = kernel.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
        return functional.conv2d(
            functional.pad(x, (total // 2, total - total // 2) * 2), kernel, stride=stride, groups=groups
        )

    def norm(x, name):
        mean, var, gain, bias = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, gain, bias, eps=1e-3)

    x = functional.relu6(norm(conv(image, "_conv_stem", stride=2), "_bn0"))
    ends, strides = [1, 3, 5, 8, 11, 15, 16], {1: 2, 3: 2, 5: 2, 11: 2}
    pooled = []
    for block in range(16):
        name, entry = f"_blocks.{block}", x
        if block > 0:
            x = functional.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
        x = conv(x, f"{name}._depthwise_conv", stride=strides.get(block, 1), groups=x.shape[1])
        x = norm(conv(functional.relu6(norm(x, f"{name}._bn1")), f"{name}._project_conv"), f"{name}._bn2")
        x = x + entry if x.shape == entry.shape else x
        if block + 1 in [ends[stage - 1] for stage in (2, 3, 5, 7)]:
            pooled += [x.mean(dim=(2, 3)), x.var(dim=(2, 3), correction=0).sqrt()]
    head = functional.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean(dim=(2, 3))
    return torch.cat([*pooled, head], dim=1)


def test_features_of_a_generated_patch_are_the_golden_vector(encode):
    features = encode(generated_patch()[None])[0]
    assert features.shape == (2272,)
    assert_allclose(features[list(GOLDEN)], list(GOLDEN.values()), rtol=1e-5, atol=1e-4)


def test_the_network_equals_one_written_out_from_the_weights_own_names(encode, weights):
    patches = np.stack([generated_patch(), generated_patch()[::-1]])
    image = torch.from_numpy(patches.copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = written_out(weights, (image - 0.5) / 0.5)
    assert_allclose(encode(patches), expected.numpy(), atol=1e-4)


def test_rotation_averaged_features_are_the_mean_of_four_plain_ones(encode):
    patches = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    patches[0] = generated_patch()
    expected = np.mean([encode(np.rot90(patches, turns, axes=(1, 2))) for turns in range(4)], axis=0)
    assert_allclose(encoder_spec("efficientnet_lite0_rot").build("cpu")(patches), expected, atol=1e-4)


def test_a_rotated_patch_has_equal_rotation_averaged_features(encode):
    turns = np.stack([np.rot90(generated_patch(), turns) for turns in range(4)])
    averaged = encoder_spec("efficientnet_lite0_309um_rot").build("cpu")(turns)
    assert_allclose(averaged[1:], np.tile(averaged[0], (3, 1)), atol=1e-4)
    plain = encode(turns)
    assert np.abs(plain[1:] - plain[0]).max() > 0.01  # the average is what makes them equal


def test_symmetric_padding_would_be_noticed(weights, encode):
    network = timm.create_model("efficientnet_lite0", pretrained=False)
    network.load_state_dict(timm_names(weights, network))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    wrong = network_encoder(MultiStage(network), SPEC.mean, SPEC.std, input_px=224, device="cpu", half=False)
    difference = wrong(generated_patch()[None])[0] - encode(generated_patch()[None])[0]
    assert np.abs(difference)[list(GOLDEN)].max() > 0.01


def test_imagenet_normalisation_would_be_noticed(encode):
    network = MultiStage(load_lite0(SPEC.sha256))
    wrong = network_encoder(
        network, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), input_px=224, device="cpu", half=False
    )
    difference = wrong(generated_patch()[None])[0] - encode(generated_patch()[None])[0]
    assert np.abs(difference)[list(GOLDEN)].max() > 0.01


def test_folding_batch_norm_leaves_the_function_as_it_was():
    image = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    plain, fast = MultiStage(load_lite0(SPEC.sha256).eval()), MultiStage(folded(load_lite0(SPEC.sha256).eval()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    with torch.inference_mode():
        assert_allclose(fast(image).numpy(), plain(image).numpy(), atol=1e-4)


def test_batch_size_changes_no_bit_of_the_features(encode):
    patches = np.random.default_rng(0).integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)
    together = encode(patches)
    apart = np.concatenate([encode(patches[i : i + 3]) for i in range(0, 20, 3)])
    assert np.array_equal(apart, together)


def test_loading_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    load_lite0(SPEC.sha256)
    assert torch.equal(torch.rand(4), expected)


def test_other_weights_are_refused_by_their_checksum():
    with pytest.raises(CheckpointError, match="another checksum") as caught:
        load_lite0("0" * 64)
    assert caught.value.context["found"] == SPEC.sha256
    assert caught.value.context["expected"] == "0" * 64


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no-such-package")
    with pytest.raises(MissingArtifactError) as caught:
        load_lite0(SPEC.sha256)
    assert caught.value.context["hint"] == "pip install no-such-package"
