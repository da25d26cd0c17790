"""Graph attention over a list of edges is GAT with self loops."""

from __future__ import annotations

import math

import torch

from gr2st_core.models.comparators.graph_attention import GraphAttentionConv


def test_each_row_mixes_its_senders_and_itself() -> None:
    torch.manual_seed(0)
    layer = GraphAttentionConv(4, 3, n_heads=2, dropout=0.5).eval()
    rows = torch.randn(5, 4)
    edges = torch.tensor([[0, 2, 1, 0], [1, 1, 2, 3]])
    senders = {0: [0], 1: [0, 1, 2], 2: [1, 2], 3: [0, 3], 4: [4]}
    inner = layer.attention
    torch.nn.init.normal_(inner.bias)
    mixed = layer(rows, edges)
    for head in range(2):
        part = slice(3 * head, 3 * head + 3)
        values = rows @ inner.values.weight[part].T
        for receiver, own in senders.items():
            raw = [(values[receiver] @ inner.receiver[head] + values[s] @ inner.sender[head]).item() for s in own]
            open_ = [math.exp(value if value > 0 else 0.2 * value) for value in raw]
            expected = sum(weight / sum(open_) * values[s] for weight, s in zip(open_, own, strict=True))
            torch.testing.assert_close(mixed[receiver, part], expected + inner.bias[part])


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    layer = GraphAttentionConv(4, 3, n_heads=2, dropout=0.5)
    rows, edges = torch.randn(5, 4), torch.tensor([[0, 2, 1, 0], [1, 1, 2, 3]])
    assert not torch.equal(layer(rows, edges), layer(rows, edges))
    layer.eval()
    assert torch.equal(layer(rows, edges), layer(rows, edges))


def test_without_edges_rows_are_alone_and_finite() -> None:
    layer = GraphAttentionConv(4, 3, n_heads=2, dropout=0.0).eval()
    rows = torch.randn(3, 4)
    alone = layer(rows, torch.empty(2, 0, dtype=torch.int64))
    torch.testing.assert_close(alone, rows @ layer.attention.values.weight.T + layer.attention.bias)
