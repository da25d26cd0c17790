"""Reg2ST is built as published, minimises what was published, and predicts without expression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import nbinom

from gr2st_core.comparator_settings.reg2st import SMALL, Reg2STSettings
from gr2st_core.models.comparators.inputs import SectionInputs, SectionTruth
from gr2st_core.models.comparators.reg2st.network import Reg2STNetwork, identity_contrast
from gr2st_core.models.registry import METHODS
from gr2st_core.settings import Settings

N_FEATURES, N_GENES = 2272, 785
SPOTS, FEATURES, GENES = 9, 5, 4


def linear(d_in: int, d_out: int) -> int:
    return d_in * d_out + d_out


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Reg2STNetwork(SMALL, (FEATURES,), GENES).eval()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    grid = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    return SectionInputs(torch.randn(SPOTS, FEATURES, generator=generator), grid, grid.float())


@pytest.fixture
def truth():
    generator = torch.Generator().manual_seed(2)
    counts = torch.poisson(2 * torch.rand(SPOTS, GENES, generator=generator), generator=generator)
    return SectionTruth(torch.log1p(counts), counts, 0.5 + torch.rand(SPOTS, generator=generator))


def test_the_full_network_has_the_parameters_of_its_description() -> None:
    with torch.device("meta"):
        network = Reg2STNetwork(Reg2STSettings(), (N_FEATURES,), N_GENES)
    norm = 2 * 256
    layer = 4 * 256 * 256 + 256 + linear(256, 1024) + linear(1024, 256) + 3 * norm
    expected = {
        "log_scale": 1,
        "image": linear(N_FEATURES, 1024) + linear(1024, 256),
        "to_gene_space": 2 * linear(256, 256),
        "genes": linear(N_GENES, 1024) + linear(1024, 256),
        "place": 2 * 64 * 256,
        "decoder": 6 * layer + norm,
        "graph": 4 * linear(256, 256),
        "head": linear(256, 1024) + linear(1024, N_GENES),
        "zinb": 3 * linear(256, N_GENES),
    }
    found = {
        name: sum(p.numel() for key, p in network.named_parameters() if key.split(".")[0] == name) for name in expected
    }
    assert found == expected
    assert sum(p.numel() for p in network.parameters()) == sum(expected.values()) == 10_495_301


def test_each_part_has_its_shape(network, inputs) -> None:
    seen = network.image(inputs.spots)
    assert seen.shape == network.to_gene_space(seen).shape == (SPOTS, SMALL.d_model)
    assert network.genes(torch.zeros(SPOTS, GENES)).shape == (SPOTS, SMALL.d_model)
    assert network.decoder(seen, seen[:3]).shape == network.graph(seen).shape == seen.shape
    assert network.zinb(seen).mean.shape == network(inputs).shape == (SPOTS, GENES)


def test_the_contrast_is_binary_over_all_pairs() -> None:
    image, genes = (torch.nn.functional.normalize(torch.randn(5, 3), dim=1) for _ in range(2))
    total = 0.0
    for i in range(5):
        for j in range(5):
            probability = 1 / (1 + np.exp(-7.0 * float(image[i] @ genes[j])))
            total -= np.log(probability if i == j else 1 - probability)
    assert identity_contrast(image, genes, torch.tensor(7.0)).item() == pytest.approx(total / 25, rel=1e-5)


def test_the_loss_weighs_four_terms(network, inputs, truth) -> None:
    terms = {name: term.item() for name, term in network.loss_terms(inputs, truth).items()}
    seen = network.image(inputs.spots)
    projected = network.to_gene_space(seen).detach().numpy()
    rows = network.graph(network.decoder(seen + network.place(inputs.grid), network.to_gene_space(seen)))
    genes = network.genes(truth.expression).detach().numpy()
    genes /= np.sqrt((genes**2).sum(axis=1, keepdims=True))
    image = seen.detach().numpy()
    image = image / np.sqrt((image**2).sum(axis=1, keepdims=True))
    odds = image @ genes.T / 0.07
    zinb, counts = network.zinb(rows), truth.counts.numpy()
    mean, theta, dropout = (v.detach().numpy() for v in (zinb.mean, zinb.dispersion, zinb.dropout))
    likelihood = nbinom.pmf(counts, theta, theta / (theta + mean * truth.size_factors.numpy()[:, None]))
    expected = {
        "mse": ((network(inputs).detach().numpy() - truth.expression.numpy()) ** 2).mean(),
        "contrast": (np.log1p(np.exp(odds)) - odds * np.eye(SPOTS)).mean(),
        "gene_space": ((projected - genes) ** 2).mean(),
        "zinb": -np.log((1 - dropout) * likelihood + dropout * (counts == 0)).mean(),
    }
    expected["total"] = expected["mse"] + 0.5 * expected["contrast"] + expected["gene_space"] + 0.25 * expected["zinb"]
    assert terms == pytest.approx(expected, rel=1e-4)


def test_every_parameter_learns(network, inputs, truth) -> None:
    network.loss_terms(inputs, truth)["total"].backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_branch_of_genes_takes_no_part_in_prediction(network, inputs) -> None:
    before = network(inputs)
    for parameter in network.genes.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(network(inputs), before)


def test_spots_equally_similar_are_joined_alike_however_stored(network, inputs) -> None:
    torch.nn.init.zeros_(network.graph.to_head.weight)
    torch.nn.init.zeros_(network.graph.to_head.bias)  # now all spots are equally similar
    order = torch.randperm(SPOTS, generator=torch.Generator().manual_seed(3))
    assert torch.equal(network(inputs.rows(order)), network(inputs)[order])


@pytest.mark.parametrize("n_spots", [1, 2, 5])
def test_a_section_of_few_spots_is_finite(network, inputs, truth, n_spots) -> None:
    few = torch.arange(n_spots)
    assert network(inputs.rows(few)).isfinite().all()
    own = SectionTruth(truth.expression[few], truth.counts[few], truth.size_factors[few])
    assert all(term.isfinite() for term in network.loss_terms(inputs.rows(few), own).values())


def test_the_rate_warms_up_and_falls_by_a_cosine() -> None:
    settings = Reg2STSettings()
    rates = [settings.rate(epoch) for epoch in range(401)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[5] == pytest.approx(5.5e-5)
    assert max(rates) == rates[10] == pytest.approx(1e-4)
    assert rates[205] == pytest.approx((1e-4 + 1e-6) / 2)
    assert rates[400] == pytest.approx(1e-6)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_heads_must_share_the_width_evenly() -> None:
    with pytest.raises(ValidationError, match="multiple of n_heads"):
        Reg2STSettings(d_model=100)


def test_decay_is_kept_apart_from_the_gradient(network) -> None:
    predictor = METHODS["reg2st_features"].build(Settings())
    optimiser = predictor.optimiser(network)
    assert isinstance(optimiser, torch.optim.AdamW)
    assert optimiser.defaults["weight_decay"] == 0.01
