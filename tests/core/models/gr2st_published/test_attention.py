"""Both layouts of attention against torch-geometric's sparse layer, and the term made of their weights."""

import pytest
import torch

from gr2st_core.models.gr2st_published import attention, losses
from gr2st_core.models.gr2st_published.attention import GraphAttention
from gr2st_core.models.gr2st_published.graphs import Edges


def _layer(**options) -> GraphAttention:
    torch.manual_seed(0)
    layer = GraphAttention(d_in=7, d_head=5, n_heads=3, **{"dropout": 0.0, **options})
    torch.nn.init.normal_(layer.bias)
    return layer


def _edges(n: int, density: float) -> Edges:
    return Edges.of(torch.rand(n, n, generator=torch.Generator().manual_seed(0)) < density)


@pytest.fixture(params=["by edge", "by matrix"])
def layout(request, monkeypatch) -> str:
    monkeypatch.setattr(attention, "DENSE_FROM", 2.0 if request.param == "by edge" else 0.0)
    return request.param


@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 1.0])
def test_attention_equals_sparse_gat_with_the_same_weights(density, layout):
    from torch_geometric.nn import GATConv

    layer, nodes, edges = _layer(), torch.randn(23, 7), _edges(23, density)
    sparse = GATConv(7, 5, heads=3)
    with torch.no_grad():
        sparse.lin.weight.copy_(layer.values.weight)
        sparse.att_src.copy_(layer.sender[None])
        sparse.att_dst.copy_(layer.receiver[None])
        sparse.bias.copy_(layer.bias)
        expected = sparse(nodes, torch.stack([edges.sender, edges.receiver]))
        assert torch.allclose(layer(nodes, edges)[0], expected, atol=1e-5)


def test_attention_of_each_receiver_sums_to_one_over_its_edges(layout):
    edges = _edges(9, 0.3)
    weights = _layer()(torch.randn(9, 7), edges)[1]
    if layout == "by matrix":
        assert torch.equal(weights != 0, edges.mask.expand(3, 9, 9))
        totals = weights.sum(2).T
    else:
        totals = torch.zeros(9, 3).index_add(0, edges.receiver, weights)
    assert torch.allclose(totals, torch.ones(9, 3), atol=1e-6)


def test_the_attention_term_and_its_gradient_are_finite_and_alike_in_both_layouts(monkeypatch):
    edges, nodes, results = _edges(9, 0.3), torch.randn(9, 7), []
    for dense_from in (0.0, 2.0):
        monkeypatch.setattr(attention, "DENSE_FROM", dense_from)
        layer = _layer()
        messages, weights = layer(nodes, edges)
        term = losses.attention(weights, edges)
        (term + messages.square().sum()).backward()
        results.append([term, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert other.isfinite().all()
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_attention_term_is_zero_where_every_spot_hears_only_itself(layout):
    edges = _edges(6, 0.0)
    weights = _layer()(torch.randn(6, 7), edges)[1].detach()
    assert float(losses.attention(weights, edges)) == pytest.approx(0.0, abs=1e-6)


def test_dropout_falls_on_the_attention_in_use(layout):
    layer, edges = _layer(dropout=0.5), _edges(30, 0.5)
    weights = layer(torch.randn(30, 7), edges)[1]
    kept = (weights > 0).sum() / (3 * len(edges.sender))
    assert 0.4 < float(kept) < 0.6
    layer.eval()
    assert ((layer(torch.randn(30, 7), edges)[1] > 0).sum() / (3 * len(edges.sender))) == 1
