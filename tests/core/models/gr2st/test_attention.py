"""Dense masked attention against torch-geometric's sparse layer."""

import pytest
import torch

from gr2st_core.models.gr2st.attention import DenseGAT


def _layer(**options) -> DenseGAT:
    torch.manual_seed(0)
    return DenseGAT(d_in=7, d_head=5, n_heads=3, dropout=0.0, **options)


def _mask(n: int, density: float, seed: int = 0) -> torch.Tensor:
    drawn = torch.rand(n, n, generator=torch.Generator().manual_seed(seed)) < density
    return drawn | torch.eye(n, dtype=torch.bool)


@pytest.mark.parametrize("density", [0.0, 0.1, 0.6, 1.0])
def test_dense_attention_equals_sparse_gat_with_the_same_weights(density):
    from torch_geometric.nn import GATConv

    dense, nodes, mask = _layer(), torch.randn(23, 7), _mask(23, density)
    sparse = GATConv(7, 5, heads=3, add_self_loops=False)
    with torch.no_grad():
        sparse.lin.weight.copy_(dense.values.weight)
        sparse.att_src.copy_(dense.sender[None])
        sparse.att_dst.copy_(dense.receiver[None])
        dense.bias.normal_()
        sparse.bias.copy_(dense.bias)
        receiver, sender = mask.nonzero(as_tuple=True)
        expected = sparse(nodes, torch.stack([sender, receiver]))
        assert torch.allclose(dense(nodes, mask)[0], expected, atol=1e-5)


def test_attention_sums_to_one_over_the_mask_and_is_zero_elsewhere():
    layer, mask = _layer(), _mask(9, 0.3)
    nodes = torch.randn(9, 7)
    with torch.no_grad():
        layer.bias.zero_()
        closed = layer(nodes, mask)[0]
        for receiver in range(9):
            moved = nodes.clone()
            moved[~mask[receiver]] += 100
            assert torch.allclose(layer(moved, mask)[0][receiver], closed[receiver], atol=1e-5)
        layer.values.weight.zero_()
        layer.bias.fill_(2.0)
        assert torch.allclose(layer(nodes, mask)[0], torch.full((9, 15), 2.0))
        ones = layer._attend(torch.ones(3, 9, 5), torch.randn(3, 9), torch.randn(3, 9), mask, None)[0]
        assert torch.allclose(ones, torch.ones(3, 9, 5), atol=1e-6)


@pytest.mark.parametrize("biased", [False, True])
def test_blocks_of_rows_change_neither_messages_nor_gradients(biased):
    whole, blocked = _layer(), _layer(rows_at_once=4)
    nodes, mask = torch.randn(11, 7), _mask(11, 0.4)
    bias = torch.randn(11, 11) if biased else None
    results = []
    for layer in (whole, blocked):
        messages, entropy = layer(nodes, mask, bias)
        (messages.square().sum() + entropy).backward()
        results.append([messages, entropy, *(p.grad for p in layer.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_entropy_is_one_for_equal_attention_and_zero_for_lone_or_decided_spots():
    layer, nodes = _layer().requires_grad_(False), torch.zeros(6, 7)
    everyone, alone = torch.ones(6, 6, dtype=torch.bool), torch.eye(6, dtype=torch.bool)
    assert float(layer(nodes, everyone)[1]) == pytest.approx(1.0)
    assert float(layer(nodes, alone)[1]) == pytest.approx(0.0, abs=1e-6)
    assert float(layer(nodes, everyone, 100 * torch.eye(6))[1]) == pytest.approx(0.0, abs=1e-6)


def test_gradients_are_finite_where_edges_are_closed():
    layer, mask = _layer(), torch.eye(6, dtype=torch.bool)
    messages, entropy = layer(torch.randn(6, 7), mask)
    (messages.sum() + entropy).backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())
