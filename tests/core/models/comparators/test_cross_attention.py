"""Rows attend to a memory, head by head, and each row's heads stay its own."""

from __future__ import annotations

import pytest
import torch

from gr2st_core.models.comparators.attention import Attention
from gr2st_core.models.comparators.cross_attention import CrossAttentionBlock, CrossAttentionDecoder

ROWS, MEMORY, WIDTH, HEADS, D_HEAD = 5, 7, 12, 3, 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_heads_are_merged_spot_by_spot() -> None:
    attention = Attention(WIDTH, HEADS, D_HEAD, 0.0)
    rows, memory = torch.randn(ROWS, WIDTH), torch.randn(MEMORY, WIDTH)
    query = attention.to_query(rows)
    key, value = attention.to_key_value(memory).split(HEADS * D_HEAD, dim=1)
    expected = torch.zeros(ROWS, HEADS * D_HEAD)
    for row in range(ROWS):
        for head in range(HEADS):
            own = slice(head * D_HEAD, (head + 1) * D_HEAD)
            weight = torch.exp(torch.stack([query[row, own] @ key[m, own] for m in range(MEMORY)]) / D_HEAD**0.5)
            expected[row, own] = sum(weight[m] / weight.sum() * value[m, own] for m in range(MEMORY))
    torch.testing.assert_close(attention(rows, memory), attention.out(expected))


def test_a_block_adds_what_it_reads_and_what_it_makes_of_it() -> None:
    block = CrossAttentionBlock(WIDTH, HEADS, D_HEAD, 20, 0.0)
    rows, memory = torch.randn(ROWS, WIDTH), 3 + 2 * torch.randn(MEMORY, WIDTH)

    def normalised(values):
        centred = values - values.mean(dim=1, keepdim=True)
        return centred / (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()

    read = rows + block.attention(normalised(rows), normalised(memory))
    torch.testing.assert_close(block(rows, memory), read + block.mlp(normalised(read)))


def test_a_decoder_reads_rows_one_by_one_and_its_memory_as_a_set() -> None:
    decoder = CrossAttentionDecoder(3, WIDTH, HEADS, D_HEAD, 20, 0.2).eval()
    rows, memory = torch.randn(ROWS, WIDTH), torch.randn(MEMORY, WIDTH)
    decoded = decoder(rows, memory)
    assert decoded.shape == (ROWS, WIDTH)
    torch.testing.assert_close(decoder(rows[2:3], memory.flip(0)), decoded[2:3])
    assert (decoder(rows, memory[:4]) - decoded).abs().amax(dim=1).min() > 1e-3, "every row must read the memory"


def test_many_memories_are_read_as_each_alone() -> None:
    decoder = CrossAttentionDecoder(2, WIDTH, HEADS, D_HEAD, 20, 0.0)
    rows, memory = torch.randn(6, 1, WIDTH), torch.randn(6, MEMORY, WIDTH)
    alone = torch.stack([decoder(one, its) for one, its in zip(rows, memory, strict=True)])
    torch.testing.assert_close(decoder(rows, memory), alone)
