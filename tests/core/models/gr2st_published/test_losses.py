"""Loss terms and head against closed forms."""

import math

import pytest
import torch

from gr2st_core.models.gr2st_published import losses
from gr2st_core.models.gr2st_published.experts import ExpertHead


def _head() -> ExpertHead:
    torch.manual_seed(0)
    return ExpertHead(d_embedding=8, d_gate=4, n_experts=6, n_genes=5, dropout=0.0)


def _expert(head: ExpertHead, embedded: torch.Tensor, expert: int) -> torch.Tensor:
    hidden = torch.nn.functional.gelu(head.hidden(embedded))[:, 8 * expert : 8 * (expert + 1)]
    return hidden @ head.out[expert] + head.bias[expert]


def test_contrast_equals_cross_entropy_against_indices_and_against_identity():
    spots, images, own = 3 * torch.randn(9, 4), torch.randn(9, 4), torch.arange(9)
    logits = spots @ images.T / 0.5
    cross_entropy = torch.nn.functional.cross_entropy
    by_index = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    softly = (cross_entropy(logits, torch.eye(9)) + cross_entropy(logits.T, torch.eye(9))) / 2
    loss = losses.contrastive(spots, images, 0.5)
    assert float(loss) == pytest.approx(float(by_index), rel=1e-6)
    assert float(loss) == pytest.approx(float(softly), rel=1e-6)
    assert float(losses.contrastive(images, spots, 0.5)) == pytest.approx(float(loss), rel=1e-6)


def test_contrast_of_equal_logits_is_chance_and_length_matters():
    assert float(losses.contrastive(torch.ones(12, 4), torch.ones(12, 4), 1.0)) == pytest.approx(math.log(12))
    spots, images = torch.randn(9, 4), torch.randn(9, 4)
    assert losses.contrastive(spots, images, 1.0) != losses.contrastive(2 * spots, images, 1.0)


def test_gate_loss_of_uniform_logits_is_log_six():
    assert float(losses.gate(torch.zeros(5, 6), torch.tensor([0, 1, 2, 5, 5]))) == pytest.approx(math.log(6))


def test_gate_rows_sum_to_one_and_the_mix_is_their_weighted_sum():
    head, embedded = _head(), torch.randn(4, 8)
    predicted, logits = head(embedded)
    gate = logits.softmax(1)
    assert torch.allclose(gate.sum(1), torch.ones(4))
    assert torch.allclose(predicted, sum(gate[:, c : c + 1] * _expert(head, embedded, c) for c in range(6)), atol=1e-5)


def test_a_one_hot_gate_returns_its_expert():
    head, embedded = _head(), torch.randn(4, 8)
    for expert in range(6):
        gate = torch.nn.functional.one_hot(torch.full((4,), expert), 6).float()
        assert torch.allclose(head.mix(embedded, gate), _expert(head, embedded, expert), atol=1e-5)


def test_experts_with_shared_weights_make_the_gate_irrelevant():
    head, embedded = _head(), torch.randn(4, 8)
    with torch.no_grad():
        head.hidden.weight.copy_(head.hidden.weight[:8].repeat(6, 1))
        head.hidden.bias.copy_(head.hidden.bias[:8].repeat(6))
        head.out.copy_(head.out[:1].expand_as(head.out))
        head.bias.copy_(head.bias[:1].expand_as(head.bias))
    one, other = (head.mix(embedded, torch.rand(4, 6).softmax(1)) for _ in range(2))
    assert torch.allclose(one, other, atol=1e-5)
