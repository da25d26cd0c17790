"""The likelihood of counts is that of a zero-inflated negative binomial, and stays finite wherever a head may go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

from gr2st_core.models.comparators.zinb import DISPERSIONS, MEANS, Zinb, ZinbHead, zinb_loss

COUNTS = torch.tensor([[0.0, 1.0, 7.0], [3.0, 0.0, 250.0]])
SIZE_FACTORS = torch.tensor([0.5, 3.0])


def drawn(seed: int = 0) -> Zinb:
    generator = torch.Generator().manual_seed(seed)
    mean, dispersion, logit = (torch.randn(2, 3, generator=generator) for _ in range(3))
    return Zinb(mean.exp(), dispersion.exp(), logit)


def test_the_loss_is_the_mean_negative_log_likelihood() -> None:
    zinb, total = drawn(), 0.0
    for spot in range(2):
        for gene in range(3):
            count = float(COUNTS[spot, gene])
            mean = float(zinb.mean[spot, gene]) * float(SIZE_FACTORS[spot])
            theta, dropout = float(zinb.dispersion[spot, gene]), float(zinb.dropout[spot, gene])
            drawn_so = (1 - dropout) * nbinom.pmf(count, theta, theta / (theta + mean))
            total -= np.log(drawn_so + (dropout if count == 0 else 0))
    assert zinb_loss(COUNTS, zinb, SIZE_FACTORS).item() == pytest.approx(total / 6, rel=1e-4)


def test_probabilities_of_all_counts_sum_to_one() -> None:
    zinb = Zinb(*(torch.full((1, 1), value, dtype=torch.float64) for value in (2.5, 0.7, -0.4)))
    one = torch.ones(1, dtype=torch.float64)
    losses = [zinb_loss(torch.full((1, 1), float(count)).double(), zinb, one).item() for count in range(300)]
    assert np.exp(-np.array(losses)).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_parameters_are_bounded_and_gradients_finite_however_far_the_head_goes(size) -> None:
    torch.manual_seed(0)
    head, rows = ZinbHead(8, 3), size * torch.randn(2, 8)
    rows.requires_grad_()
    zinb = head(rows)
    for values, (lowest, highest) in ((zinb.mean, MEANS), (zinb.dispersion, DISPERSIONS), (zinb.dropout, (0, 1))):
        assert values.shape == (2, 3)
        assert lowest * 0.999 <= values.min()
        assert values.max() <= highest * 1.001
    loss = zinb_loss(COUNTS, zinb, SIZE_FACTORS)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(rows.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters())


def test_the_head_links_are_exponential_softplus_and_logistic() -> None:
    torch.manual_seed(0)
    head, rows = ZinbHead(4, 5), torch.randn(3, 4)
    zinb = head(rows)
    torch.testing.assert_close(zinb.mean, head.mean(rows).exp())
    torch.testing.assert_close(zinb.dispersion, head.dispersion(rows).exp().log1p())
    torch.testing.assert_close(zinb.dropout, 1 / (1 + (-head.dropout(rows)).exp()))
