"""Loss terms against closed forms."""

import math

import pytest
import torch
from torch.nn.functional import log_softmax, normalize

from gr2st_core.models.gr2st import losses


def test_contrastive_loss_equals_cross_entropy_with_identity_targets():
    spots, images, scale = torch.randn(9, 4), torch.randn(9, 4), torch.tensor(3.0)
    logits = 3.0 * normalize(spots) @ normalize(images).T
    soft = -(torch.eye(9) * (log_softmax(logits, 1) + log_softmax(logits.T, 1))).sum() / 18
    assert float(losses.contrastive(spots, images, scale)) == pytest.approx(float(soft), abs=1e-6)


def test_contrastive_loss_is_symmetric_and_ignores_length():
    spots, images, scale = torch.randn(9, 4), torch.randn(9, 4), torch.tensor(5.0)
    loss = losses.contrastive(spots, images, scale)
    assert torch.allclose(loss, losses.contrastive(images, spots, scale), atol=1e-6)
    assert torch.allclose(loss, losses.contrastive(7 * spots, images / 3, scale), atol=1e-6)


def test_contrastive_loss_of_equal_logits_is_chance():
    assert float(losses.contrastive(torch.ones(12, 4), torch.ones(12, 4), torch.tensor(10.0))) == pytest.approx(
        math.log(12)
    )


def test_gate_loss_of_uniform_logits_is_log_six_whatever_the_classes():
    shares = torch.rand(5, 6).softmax(1)
    assert float(losses.gate(torch.zeros(5, 6), shares)) == pytest.approx(math.log(6), abs=1e-6)


def test_gate_loss_leaves_unknown_spots_out_and_is_absent_without_any_known():
    logits, shares = torch.randn(5, 6), torch.rand(5, 6).softmax(1)
    known = losses.gate(logits[1:], shares[1:])
    shares[0] = torch.nan
    assert torch.equal(losses.gate(logits, shares), known)
    assert losses.gate(logits, torch.full((5, 6), torch.nan)) is None


def test_squared_error_is_the_mean_over_spots_and_genes():
    assert float(losses.squared_error(torch.zeros(2, 3), torch.full((2, 3), 2.0), torch.ones(2))) == 4.0


def test_squared_error_counts_a_spot_by_its_weight():
    predicted = torch.tensor([[2.0, 2.0], [4.0, 4.0]])
    assert float(losses.squared_error(torch.zeros(2, 2), predicted, torch.tensor([2.0, 0.0]))) == 4.0
    assert float(losses.squared_error(torch.zeros(2, 2), predicted, torch.tensor([0.0, 2.0]))) == 16.0
