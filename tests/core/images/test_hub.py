import json

import huggingface_hub.constants
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from gr2st_core.errors import CheckpointError, MissingArtifactError, SettingsError
from gr2st_core.images import hub
from gr2st_core.images.encoders import encoder_spec, hub_encoder
from gr2st_core.images.hub import HUB_MODELS
from gr2st_core.images.timm_network import load_network, timm_names_of_dinov2

TINY = "timm:test_vit"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("test_vit", pretrained=False).eval()


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)


def normalised(patches, network):
    mean, std = (torch.tensor(network.pretrained_cfg[part]).view(1, 3, 1, 1) for part in ("mean", "std"))
    return (torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255 - mean) / std


def stored(network, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.pt"])
def test_a_local_weights_file_gives_the_networks_own_features(tmp_path, network, patches, name):
    spec = hub_encoder("tiny", TINY, weights=stored(network, tmp_path / name), span_um=100.0)
    with torch.inference_mode():
        expected = network.forward_head(network.forward_features(normalised(patches, network)), pre_logits=True)
    assert (spec.input_px, spec.span_um, spec.width) == (160, 100.0, 64)
    assert len(spec.sha256) == 64
    assert name in spec.source
    assert_allclose(spec.build("cpu")(patches), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("token", lambda tokens: tokens[:, 0]),
        ("mean", lambda tokens: tokens[:, 1:].mean(dim=1)),
        ("token_and_mean", lambda tokens: torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=1)),
    ],
)
def test_tokens_are_pooled_as_named(tmp_path, network, patches, pool, expected):
    spec = hub_encoder("tiny", TINY, weights=stored(network, tmp_path / "w.safetensors"), pool=pool)
    with torch.inference_mode():
        tokens = network.forward_features(normalised(patches, network))
    features = spec.build("cpu")(patches)
    assert features.shape == (3, spec.width)
    assert_allclose(features, expected(tokens).numpy(), atol=1e-5)


def test_a_copy_of_a_repository_is_read_from_its_folder(tmp_path, network, patches):
    config = {"architecture": "test_vit", "pretrained_cfg": dict(network.pretrained_cfg) | {"mean": [0.1, 0.2, 0.3]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    stored(network, tmp_path / "model.safetensors")
    spec = hub_encoder("copied", f"local-dir:{tmp_path}")
    assert spec.mean == (0.1, 0.2, 0.3)
    assert len(spec.sha256) == 64
    assert spec.build("cpu")(patches).shape == (3, 64)


def test_input_and_normalisation_are_those_of_the_model():
    spec = hub_encoder("resnet", "timm:resnet18")
    assert (spec.input_px, spec.width) == (224, 512)
    assert spec.mean == (0.485, 0.456, 0.406)
    assert spec.span_um == 112.0
    assert spec.sha256 is None


def test_weights_with_a_gap_are_refused_and_named(tmp_path, network):
    state = network.state_dict()
    del state["blocks.0.attn.qkv.weight"]
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="do not fit") as caught:
        hub_encoder("tiny", TINY, weights=tmp_path / "w.safetensors").build("cpu")
    assert caught.value.context["file"] == tmp_path / "w.safetensors"
    assert "blocks.0.attn.qkv.weight" in caught.value.context["found"]


class Payload:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_file_that_holds_more_than_tensors_is_refused_unopened(tmp_path, name):
    torch.save({"weight": Payload()}, tmp_path / name)
    with pytest.raises(CheckpointError) as caught:
        hub_encoder("tiny", TINY, weights=tmp_path / name).build("cpu")
    assert caught.value.context["file"] == tmp_path / name


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(MissingArtifactError) as caught:
        hub_encoder("tiny", TINY, weights=tmp_path / "none.pt")
    assert caught.value.context["file"] == tmp_path / "none.pt"


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for attempt in (
        lambda: hub_encoder("mine", "hf-hub:nobody/no-model"),
        lambda: encoder_spec("uni").build("cpu"),
        lambda: encoder_spec("phikon_v2").build("cpu"),
    ):
        with pytest.raises(MissingArtifactError, match="cannot be had") as caught:
            attempt()
        assert "local copy" in caught.value.context["hint"]


@pytest.mark.parametrize("model_id", ["resnet18", "https://somewhere/model", "owner/model"])
def test_a_model_id_without_a_known_source_is_refused(model_id):
    with pytest.raises(SettingsError, match="begins with its source") as caught:
        hub_encoder("mine", model_id)
    assert caught.value.context["found"] == repr(model_id)


def test_an_unknown_network_is_refused():
    with pytest.raises(SettingsError, match="cannot build"):
        hub_encoder("mine", "timm:no_such_network")


def test_pooling_tokens_of_a_network_without_tokens_is_refused():
    with pytest.raises(SettingsError, match="no such tokens"):
        hub_encoder("mine", "timm:resnet18", pool="token")


def test_describing_and_loading_leave_the_callers_random_numbers_alone(tmp_path, network):
    weights = stored(network, tmp_path / "w.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    hub_encoder("tiny", TINY, weights=weights).build("cpu")
    assert torch.equal(torch.rand(4), expected)


def test_known_models_are_described_without_a_network():
    for name, model in HUB_MODELS.items():
        spec = encoder_spec(name)
        assert (spec.name, spec.input_px, spec.span_um, spec.width) == (name, 224, 112.0, model.width)
        assert spec.source == f"hf-hub:{model.repository}"


@pytest.mark.parametrize("name", sorted(HUB_MODELS))
def test_a_known_model_uses_a_copy_of_its_repository(tmp_path, monkeypatch, name):
    options = {"init_values": 1e-5, "img_size": 224}
    tiny = timm.create_model("test_vit", pretrained=False, **options)
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "test_vit", "pretrained_cfg": dict(tiny.pretrained_cfg)})
    )
    stored(tiny, tmp_path / "model.safetensors")
    architecture = HUB_MODELS[name].architecture and TINY
    shrunk = {"options": options, "architecture": architecture}
    monkeypatch.setitem(hub.HUB_MODELS, name, type(HUB_MODELS[name])(**fields(HUB_MODELS[name]) | shrunk))
    spec = encoder_spec(name, copy=tmp_path)
    assert len(spec.sha256) == 64
    patches = np.zeros((3, 224, 224, 3), dtype=np.uint8)
    assert spec.build("cpu")(patches).shape == (3, 128 if HUB_MODELS[name].pool == "token_and_mean" else 64)


def fields(model):
    return {name: getattr(model, name) for name in type(model).__slots__}


@pytest.mark.parametrize(
    ("name", "architecture"), [("uni", "vit_large_patch16_224"), ("uni2_h", "vit_giant_patch14_224")]
)
def test_the_options_of_a_known_model_build_the_width_that_it_declares(name, architecture):
    with torch.device("meta"):
        network = load_network_without_weights(architecture, HUB_MODELS[name])
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, HUB_MODELS[name].width)


def load_network_without_weights(architecture, model):
    from gr2st_core.images.timm_network import Pooled, _create

    network = _create(f"timm:{architecture}", dict(model.options), pretrained=False)
    network.reset_classifier(0)
    return Pooled(network.eval(), model.pool)


def dinov2_state(rng, width=64, layers=2, tokens=101, patch=16):
    def draw(*shape):
        return torch.from_numpy(rng.normal(0, 0.2, shape).astype(np.float32))

    state = {
        "embeddings.cls_token": draw(1, 1, width),
        "embeddings.mask_token": draw(1, width),
        "embeddings.position_embeddings": draw(1, tokens, width),
        "embeddings.patch_embeddings.projection.weight": draw(width, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": draw(width),
        "layernorm.weight": draw(width),
        "layernorm.bias": draw(width),
    }
    for layer in range(layers):
        linear = {f"attention.attention.{part}": (width, width) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (width, width)}
        linear |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
        for part, shape in linear.items():
            state[f"encoder.layer.{layer}.{part}.weight"] = draw(*shape)
            state[f"encoder.layer.{layer}.{part}.bias"] = draw(shape[0])
        for part in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            state[f"encoder.layer.{layer}.{part}"] = draw(width)
        for part in ("layer_scale1.lambda1", "layer_scale2.lambda1"):
            state[f"encoder.layer.{layer}.{part}"] = draw(width)
    return state


def dinov2_tokens(state, images, heads, layers=2):
    """Transformers' Dinov2Model written out: pre-norm blocks with separate query, key and value, and layer scale."""

    def linear(x, name):
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    projection = "embeddings.patch_embeddings.projection"
    x = functional.conv2d(images, state[f"{projection}.weight"], state[f"{projection}.bias"], stride=16)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([state["embeddings.cls_token"].expand(len(x), -1, -1), x], dim=1)
    x = x + state["embeddings.position_embeddings"]
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        y = norm(x, f"{name}.norm1")
        q, k, v = (
            linear(y, f"{name}.attention.attention.{part}").unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
        y = linear(mixed.transpose(1, 2).flatten(2), f"{name}.attention.output.dense")
        x = x + y * state[f"{name}.layer_scale1.lambda1"]
        y = linear(functional.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")), f"{name}.mlp.fc2")
        x = x + y * state[f"{name}.layer_scale2.lambda1"]
    return norm(x, "layernorm")


def test_dinov2_weights_in_transformers_names_give_the_same_class_token(tmp_path):
    state = dinov2_state(np.random.default_rng(0))
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    options = {"img_size": 160, "embed_dim": 64, "depth": 2, "num_heads": 4, "init_values": 1e-5}
    network = load_network(
        "timm:vit_large_patch16_224", pool="token", weights=tmp_path / "model.safetensors", options=options
    )
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 160, 160)).astype(np.float32))
    with torch.inference_mode():
        expected = dinov2_tokens(state, images, heads=4)[:, 0]
        assert_allclose(network.eval()(images).numpy(), expected.numpy(), atol=1e-4)


def test_every_tensor_of_phikons_layout_has_a_place():
    state = dinov2_state(np.random.default_rng(0), layers=3)
    with torch.device("meta"):
        network = timm.create_model("vit_large_patch16_224", num_classes=0, init_values=1e-5, depth=3)
    assert set(timm_names_of_dinov2(state)) == set(network.state_dict())
