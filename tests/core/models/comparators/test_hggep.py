"""HGGEP: size and shapes as published, its loss, its repairs, and where its image encoder starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch.distributions import NegativeBinomial
from torchvision.models import shufflenet_v2_x0_5

from gr2st_core.comparator_settings.hggep import SMALL, HGGEPSettings
from gr2st_core.errors import CheckpointError
from gr2st_core.models.comparators.hggep.network import HGGEPNetwork
from gr2st_core.models.comparators.hggep.taps import ShuffleNetTrunk
from gr2st_core.models.comparators.hypergraph import alike_neighbours
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.neighbours import nearest_edges
from gr2st_core.models.registry import METHODS
from gr2st_core.models.spec import M224
from gr2st_core.settings import Settings
from samples.pictured import quick, with_pixels

FULL = HGGEPSettings()
TINY = SMALL.model_copy(
    update={"d_model": 32, "n_heads": 2, "d_head": 8, "d_mlp": 16, "d_hypergraph": 8, "n_passes": 2}
)
PATCH = (3, SMALL.input_px, SMALL.input_px)
N_SPOTS, N_GENES = 12, 5


@pytest.fixture
def network():
    torch.manual_seed(0)
    return HGGEPNetwork(TINY, PATCH, N_GENES)


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    grid = torch.stack([torch.arange(N_SPOTS) % 4, torch.arange(N_SPOTS) // 4], dim=1)
    patches = torch.randint(256, (N_SPOTS, *PATCH), generator=generator, dtype=torch.uint8)
    return SectionInputs(patches, grid, grid.float())


@pytest.fixture
def truth():
    generator = torch.Generator().manual_seed(1)
    counts = torch.randint(5, (N_SPOTS, N_GENES), generator=generator).float()
    totals = counts.sum(dim=1).clamp(min=1)
    return SectionTruth(torch.rand(N_SPOTS, N_GENES, generator=generator), counts, totals / totals.median())


def test_the_full_size_is_the_published_one() -> None:
    with torch.device("meta"):
        network = HGGEPNetwork(FULL, (3, 112, 112), 785)
    sizes = {name: sum(weight.numel() for weight in part.parameters()) for name, part in network.named_children()}
    # Published: about 115 M. Without the scores of self-distillation, which predicting does not read, it is 115.3 M.
    assert sum(sizes.values()) == 116_364_065
    assert sum(sizes.values()) - sizes["distillation"] == 115_313_440


def test_the_full_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = HGGEPNetwork(FULL, (3, 112, 112), 785)
        maps = network.stem.gradient(torch.zeros(2, 3, 112, 112))
        middle, last = network.stem.trunk(maps)
        taps = network.stem(torch.zeros(2, 3, 112, 112, dtype=torch.uint8))
        rows = network.transformers[2](taps[:, 2])
        jumped = network.jump([rows] * 4)
    assert maps.shape == (2, 3, 58, 58)
    assert (middle.shape, last.shape) == ((2, 192, 4, 4), (2, 1024, 4, 4))
    assert [tap[2].out_channels for tap in (network.stem.middle, network.stem.last, network.stem.largest)] == [
        64,
        64,
        1024,
    ]
    assert (taps.shape, rows.shape, jumped.shape) == ((2, 3, 1024), (2, 1024), (2, 1024))
    assert [len(blocks) for blocks in network.transformers] == [4, 4, 4]
    assert network.hypergraph.narrow.weight.weight.shape == (512, 1024)
    assert network.hypergraph.widen.weight.weight.shape == (1024, 512)
    assert network.jump.lstm.num_layers == 4
    assert network.head(jumped).shape == network.zinb(jumped).mean.shape == (2, 785)


@torch.no_grad()
def test_prediction_is_the_parts_in_order(network, inputs) -> None:
    network(inputs)  # gives batch normalisation its statistics
    stem = network.eval().stem
    middle, last = stem.trunk(stem.gradient(inputs.spots.float()))
    maps = middle, last, last.flatten(2).max(dim=2).values[:, :, None, None]
    place = network.place.x.weight[inputs.grid[:, 0]] + network.place.y.weight[inputs.grid[:, 1]]
    taps = []
    for tap, blocks, seen in zip((stem.middle, stem.last, stem.largest), network.transformers, maps, strict=True):
        weigh, normalise, narrow, _ = tap
        kept = torch.einsum("oi,niyx->noyx", narrow.weight[:, :, 0, 0], normalise(weigh(seen)))
        taps.append(blocks((kept + narrow.bias[:, None, None]).reshape(N_SPOTS, -1) + place))
    together = sum(taps)
    graph = alike_neighbours(together, nearest_edges(inputs.pitch_xy, 8, 2.0), 4)
    hidden = network.hypergraph.narrow(together, graph).clamp(min=0)
    layers = [*taps, together + network.hypergraph.widen(hidden, graph)]
    state, read = None, []
    for layer in layers:
        output, state = network.jump.lstm(layer[None], state)
        read.append(output[0])
    rows = sum(read) / 4
    normal = (rows - rows.mean(1, keepdim=True)) / (rows.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = normal @ network.head[1].weight.T + network.head[1].bias
    torch.testing.assert_close(network(inputs), expected, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_hyperedges_of_the_least_alike_are_a_setting(network, inputs) -> None:
    other = HGGEPNetwork(TINY.model_copy(update={"hyperedge": "least_alike", "n_alike": 2}), PATCH, N_GENES)
    same = HGGEPNetwork(TINY.model_copy(update={"n_alike": 2}), PATCH, N_GENES)
    for own in (other, same):
        own.load_state_dict(network.state_dict())
    assert not torch.allclose(other.eval()(inputs), same.eval()(inputs))


def _brightness_shown(trunk: ShuffleNetTrunk) -> float:
    """Correlation of a channel of the last maps with how bright the patch is, the median over channels."""
    torch.manual_seed(1)
    brightness = torch.linspace(100, 150, 64)
    patches = brightness[:, None, None, None] + 3 * torch.randn(64, 3, 30, 30)
    with torch.no_grad():
        channels = trunk(patches)[1].mean(dim=(2, 3))
    return float(torch.corrcoef(torch.cat([brightness[None], channels.T]))[0, 1:].abs().nanmedian())


def test_an_encoder_without_weights_lets_more_through_than_torchs_own_start() -> None:
    torch.manual_seed(0)
    trunk = ShuffleNetTrunk()
    started = _brightness_shown(trunk)
    for module in trunk.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert started > 1.5 * _brightness_shown(trunk)


def test_features_go_through_three_layers_and_are_not_distilled(inputs, truth) -> None:
    torch.manual_seed(0)
    network, features = HGGEPNetwork(TINY, (7,), N_GENES), torch.rand(N_SPOTS, 7)
    taps = network.stem(features)
    assert taps.shape == (N_SPOTS, 3, 32)
    layers = network.stem.project.weight.unflatten(0, (3, 32)), network.stem.project.bias.unflatten(0, (3, 32))
    for tap, weight, bias in zip(taps.unbind(1), *layers, strict=True):
        torch.testing.assert_close(tap, features @ weight.T + bias)
    assert set(network.loss_terms(replace(inputs, spots=features), truth)) == {"mse", "zinb", "total"}


def test_the_loss_is_error_likelihood_of_counts_and_agreement_over_changed_patches(network, inputs, truth) -> None:
    network.eval()
    with torch.no_grad():
        torch.manual_seed(0)
        terms = {name: float(term) for name, term in network.loss_terms(inputs, truth).items()}
        edges = network.edges(inputs)
        rows = network.embedded(inputs, edges)
        predicted = network.head(rows)
        zinb = network.zinb(rows)
        torch.manual_seed(0)
        passes = [network.embedded(replace(inputs, spots=_changed(inputs.spots)), edges) for _ in range(2)]
        scores = torch.stack([network.distillation.score(rows) for rows in passes]).exp()
        mixed = sum(score * network.head(rows) for score, rows in zip(scores / scores.sum(0), passes, strict=True))
    mean = zinb.mean.double() * truth.size_factors[:, None]
    drawn = NegativeBinomial(zinb.dispersion.double(), probs=mean / (mean + zinb.dispersion))
    likelihood = (1 - zinb.dropout) * drawn.log_prob(truth.counts.double()).exp() + zinb.dropout * (truth.counts == 0)
    assert terms["mse"] == pytest.approx(float(((predicted - truth.expression) ** 2).mean()), rel=1e-5)
    assert terms["zinb"] == pytest.approx(float(-likelihood.log().mean()), rel=1e-4)
    assert terms["distillation"] == pytest.approx(float(((mixed - predicted) ** 2).mean()), rel=1e-4)
    expected = terms["mse"] + 0.25 * terms["zinb"] + 0.5 * terms["distillation"]
    assert terms["total"] == pytest.approx(expected, rel=1e-6)


def _changed(patches: torch.Tensor) -> torch.Tensor:
    grey, turn, flip = torch.rand(3).tolist()
    pixels = np.rot90(patches.numpy(), int(4 * turn), (2, 3))
    pixels = pixels[..., ::-1] if flip < 0.2 else pixels
    assert grey >= 0.1, "the seed of this test draws no grey pass"
    return torch.from_numpy(pixels.copy())


def test_every_part_learns(network, inputs, truth) -> None:
    network.train().loss_terms(inputs, truth)["total"].backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def test_predicting_draws_nothing_and_training_does(network, inputs) -> None:
    with torch.no_grad():
        network.train()(inputs)  # gives batch normalisation its statistics
        assert not torch.equal(network(inputs), network(inputs))
        network.eval()
        state = torch.random.get_rng_state()
        assert torch.equal(network(inputs), network(inputs))
        assert torch.equal(torch.random.get_rng_state(), state)


def test_spots_are_predicted_alike_in_portions_and_at_once(network, inputs, monkeypatch) -> None:
    network.eval()
    with torch.no_grad():
        whole = network(inputs)
        monkeypatch.setattr("gr2st_core.models.comparators.network.PORTION", 5)
        torch.testing.assert_close(network(inputs), whole, atol=1e-5, rtol=0)


def test_a_width_that_maps_cannot_fill_is_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of 16 at input_px 112"):
        HGGEPSettings(d_model=1000)
    assert [HGGEPSettings(input_px=px).map_side for px in (112, 56, 224, 57)] == [4, 2, 8, 2]


@pytest.fixture
def weights(tmp_path):
    """A file as ``docs/comparators.md`` makes one."""
    torch.manual_seed(1)
    state = shufflenet_v2_x0_5(weights=None).state_dict()
    save_file(state, tmp_path / "shufflenet.safetensors")
    return tmp_path / "shufflenet.safetensors", state


def test_the_encoder_starts_from_torchvisions_weights(network, weights) -> None:
    file, state = weights
    predictor = quick("hggep_published_small", image_weights=str(file))
    (said,) = predictor.initialise(network, None)
    assert hashlib.sha256(file.read_bytes()).hexdigest() in said
    trunk = {name: tensor for name, tensor in network.stem.trunk.state_dict().items() if "num_batches" not in name}
    assert len(trunk) > 200
    assert all(torch.equal(tensor, state[name]) for name, tensor in trunk.items())


def test_weights_of_another_encoder_are_refused(network, tmp_path) -> None:
    save_file({"features.conv0.weight": torch.ones(1)}, tmp_path / "dense.safetensors")
    with pytest.raises(CheckpointError, match=r"other names.*dense\.safetensors.*expected.*found=.*conv0"):
        quick("hggep_published_small", image_weights=str(tmp_path / "dense.safetensors")).initialise(network, None)


def test_a_trained_model_says_where_it_started_and_no_longer_needs_the_file(
    weights, planted_section, planted_request
) -> None:
    file, _ = weights
    sections = [with_pixels(planted_section(name, encoders=M224)) for name in ("A1", "B1")]
    own = TINY.model_copy(update={"epochs": 1, "n_passes": 1, "image_weights": str(file)})
    predictor = METHODS["hggep_published_small"].build(Settings().model_copy(update={"hggep_small": own}))
    fitted = predictor.fit(planted_request(*sections))
    notes = fitted.state().config["notes"]
    assert any(hashlib.sha256(file.read_bytes()).hexdigest() in note for note in notes)
    Path(file).unlink()
    state = fitted.state()
    loaded = predictor.load(replace(state, config=json.loads(json.dumps(state.config))))
    image = sections[0].image
    assert loaded.predict(image).values.tobytes() == fitted.predict(image).values.tobytes()


def test_on_features_there_is_no_encoder_to_start(weights) -> None:
    predictor = quick("hggep_features_small", image_weights=str(weights[0]))
    assert predictor.initialise(HGGEPNetwork(TINY, (7,), N_GENES), None) == ()
