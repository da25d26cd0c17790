"""THItoGene has the size and the parts of the published network."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import elu

from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.neighbours import nearest_edges
from gr2st_core.models.comparators.thitogene.network import FeatureStem, THItoGeneNetwork
from gr2st_core.settings import Settings

FULL, SMALL = Settings().thitogene, Settings().thitogene_small
PATCH = (3, 112, 112)


def section(n_spots: int = 9, row_shape: tuple[int, ...] = (3, 56, 56)) -> SectionInputs:
    torch.manual_seed(0)
    grid = torch.stack([torch.arange(n_spots) % 3, torch.arange(n_spots) // 3], dim=1)
    spots = torch.randint(0, 256, (n_spots, *row_shape), dtype=torch.uint8)
    return SectionInputs(spots if len(row_shape) > 1 else torch.randn(n_spots, *row_shape), grid, grid.float())


def n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_full_setting_has_the_published_number_of_parameters() -> None:
    # The survey puts it at "about 65 M", an estimate. 63.6 M follow from the widths that it lists: 46.2 M are the four
    # blocks on 1408 columns, 15.8 M the two graph layers, 1.3 M the head, 0.3 M all of the stem.
    with torch.device("meta"):
        network = THItoGeneNetwork(FULL, PATCH, 785)
    parts = {name: n_parameters(part) for name, part in network.named_children()}
    attention = 1408 * 3 * 1024 + 1024 * 1408 + 1408
    mlp = 1408 * 2048 + 2048 + 2048 * 1408 + 1408
    assert parts["blocks"] == 4 * (attention + mlp + 4 * 1408)
    assert parts["place"] == 2 * 64 * 64
    assert parts["graph"] == (1408 + 3) * 8192 + (8192 + 3) * 512
    assert parts["head"] == 513 * 1024 + 2 * 1024 + 1025 * 785
    assert n_parameters(network) == 63_595_416


def test_on_features_one_linear_layer_makes_the_same_capsules() -> None:
    with torch.device("meta"):
        network = THItoGeneNetwork(FULL, (1280,), 785)
    assert isinstance(network.stem, FeatureStem)
    assert n_parameters(network.stem) == 1281 * 20 * 64
    small = THItoGeneNetwork(SMALL, (7,), 5)
    inputs = section(row_shape=(7,))
    flat = inputs.spots @ small.stem.project.weight.T + small.stem.project.bias
    torch.testing.assert_close(small.stem(inputs.spots).flatten(1), flat)


def test_blocks_of_the_full_setting_have_the_published_shapes() -> None:
    network = THItoGeneNetwork(FULL.model_copy(update={"depth": 1}), PATCH, 5).eval()
    inputs = section(2, PATCH)
    shapes = {}

    def seen(name: str):
        return lambda _module, _given, returned: shapes.__setitem__(name, tuple(returned.shape))

    for name in ("stem.dynamic", "stem.primary.convolutions", "stem.primary", "stem", "blocks", "graph.0", "graph.1"):
        network.get_submodule(name).register_forward_hook(seen(name))
    with torch.no_grad():
        assert network.capsules(inputs).shape == (2, 22, 64)
        assert network(inputs).shape == (2, 5)
    assert shapes == {
        "stem.dynamic": (2, 16, 28, 28),
        "stem.primary.convolutions": (2, 128, 9, 9),
        "stem.primary": (2, 16, 8),
        "stem": (2, 20, 64),
        "blocks": (2, 1408),
        "graph.0": (2, 8192),
        "graph.1": (2, 512),
    }


def test_the_place_is_two_more_capsules() -> None:
    network, inputs = THItoGeneNetwork(SMALL, (3, 56, 56), 5).eval(), section()
    capsules = network.capsules(inputs)
    torch.testing.assert_close(capsules[:, :-2], network.stem(inputs.spots))
    assert torch.equal(capsules[:, -2], network.place.x.weight[inputs.grid[:, 0]])
    assert torch.equal(capsules[:, -1], network.place.y.weight[inputs.grid[:, 1]])


def test_prediction_is_the_parts_in_order() -> None:
    network, inputs = THItoGeneNetwork(SMALL, (3, 56, 56), 5).eval(), section()
    first, second = network.graph
    edges = nearest_edges(inputs.pitch_xy, 4)
    assert edges.shape == (2, 9 * 4)
    rows = network.blocks(network.capsules(inputs).reshape(9, -1))
    rows = elu(second(elu(first(rows, edges)), edges))
    hidden = network.head[0](rows).clamp(min=0)
    normal = (hidden - hidden.mean(1, keepdim=True)) / (hidden.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = normal @ network.head[3].weight.T + network.head[3].bias
    torch.testing.assert_close(network(inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row_shape", [(3, 56, 56), (7,)])
def test_the_loss_is_the_squared_error_and_reaches_every_parameter(row_shape: tuple[int, ...]) -> None:
    network, inputs = THItoGeneNetwork(SMALL, row_shape, 5), section(row_shape=row_shape)
    truth = SectionTruth(torch.rand(9, 5), torch.zeros(9, 5), torch.ones(9))
    torch.manual_seed(1)
    terms = network.loss_terms(inputs, truth)
    torch.manual_seed(1)
    difference = (network(inputs) - truth.expression).flatten().tolist()
    assert set(terms) == {"mse", "total"}
    for term in terms.values():
        assert term.item() == pytest.approx(sum(value**2 for value in difference) / 45, rel=1e-5)
    terms["total"].backward()
    without = [name for name, own in network.named_parameters() if own.grad is None or not own.grad.abs().sum()]
    assert without == []


def test_patches_are_seen_in_portions_that_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    network, inputs = THItoGeneNetwork(SMALL, (3, 56, 56), 5).eval(), section()
    whole = network(inputs)
    monkeypatch.setattr("gr2st_core.models.comparators.network.PORTION", 4)
    torch.testing.assert_close(network(inputs), whole, rtol=1e-4, atol=1e-5)
