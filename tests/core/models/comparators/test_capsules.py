"""Capsules are squashed and routed as their paper says; a dynamic convolution has a kernel for each image."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import conv2d

from gr2st_core.models.comparators.capsules import CapsuleRouting, PrimaryCapsules, squash
from gr2st_core.models.comparators.dynamic_convolution import DynamicConv


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def squashed(capsule: list[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in capsule))
    return [(1 - 1 / math.exp(length)) * value / length for value in capsule]


def test_squashing_keeps_the_direction_and_bounds_the_length() -> None:
    capsules = torch.randn(5, 3, 4) * torch.tensor([0.01, 1, 20])[:, None]
    by_hand = torch.tensor([[squashed(one) for one in row] for row in capsules.tolist()])
    torch.testing.assert_close(squash(capsules), by_hand)
    assert squash(capsules).norm(dim=-1).max() < 1 + 1e-6


def test_a_capsule_of_length_zero_stays_and_learns() -> None:
    capsule = torch.zeros(1, 8, requires_grad=True)
    squash(capsule).sum().backward()
    assert squash(capsule).tolist() == [[0.0] * 8]
    torch.testing.assert_close(capsule.grad, torch.ones(1, 8))  # near zero squashing is the identity


def test_routing_is_what_loops_over_capsules_compute() -> None:
    n_in, d_in, n_out, d_out = 3, 2, 4, 5
    routing = CapsuleRouting(n_in, d_in, n_out, d_out)
    torch.nn.init.normal_(routing.prior)
    capsules = torch.randn(2, n_in, d_in)
    for image, routed in zip(capsules, routing(capsules), strict=True):
        predicted = [[image[i] @ routing.transforms[o, i] for i in range(n_in)] for o in range(n_out)]
        agreement = [
            [sum((row[i] @ row[j]).item() for j in range(n_in)) / math.sqrt(d_in) for i in range(n_in)]
            for row in predicted
        ]
        for o in range(n_out):
            made = torch.zeros(d_out)
            for i in range(n_in):
                share = math.exp(agreement[o][i]) / sum(math.exp(agreement[other][i]) for other in range(n_out))
                made += (share + routing.prior[o, i].item()) * predicted[o][i]
            torch.testing.assert_close(routed[o], torch.tensor(squashed(made.tolist())))


def test_primary_capsules_see_the_whole_map() -> None:
    primary = PrimaryCapsules(16, (32, 64, 64), map_px=28, n_capsules=16, d_capsule=8).eval()
    maps = torch.randn(2, 16, 28, 28)
    assert primary.convolutions(maps).shape == (2, 128, 9, 9)
    assert primary.depthwise.weight.shape == (128, 1, 9, 9)
    capsules = primary(maps)
    assert capsules.shape == (2, 16, 8)
    by_hand = primary.depthwise(primary.convolutions(maps)).reshape(2, 16, 8)
    torch.testing.assert_close(capsules, squash(by_hand))
    assert PrimaryCapsules(4, (4, 4, 4), map_px=11, n_capsules=2, d_capsule=3)(maps[:, :4, :11, :11]).shape == (2, 2, 3)


@pytest.mark.parametrize(("kernel_px", "stride"), [(4, 4), (3, 2)])
def test_a_dynamic_convolution_is_one_convolution_per_image(kernel_px: int, stride: int) -> None:
    layer = DynamicConv(3, 5, kernel_px=kernel_px, stride=stride, n_kernels=4).eval()
    images = torch.rand(6, 3, 30, 30) * torch.tensor([1, 50, 255]).repeat(2)[:, None, None, None]
    maps = layer(images)
    assert maps.shape == (6, 5, (30 - kernel_px) // stride + 1, (30 - kernel_px) // stride + 1)
    for image, mapped in zip(images, maps, strict=True):
        seen = layer.squeeze(image.mean((1, 2))[None])[0]
        kernels, channel = layer.by_kernel(seen).softmax(0), layer.by_channel(seen).sigmoid()
        filter_, place = layer.by_filter(seen).sigmoid(), layer.by_place(seen).sigmoid().view(kernel_px, kernel_px)
        kernel = torch.zeros(5, 3, kernel_px, kernel_px)
        for share, candidate in zip(kernels, layer.kernels, strict=True):
            for o in range(5):
                for c in range(3):
                    kernel[o, c] += share * filter_[o] * channel[c] * place * candidate[o, c]
        torch.testing.assert_close(mapped, conv2d(image[None], kernel, stride=stride)[0], rtol=1e-4, atol=1e-3)
    assert layer.mixed(images)[0].sub(layer.mixed(images)[2]).abs().max() > 1e-3, "images differ in their kernels"
