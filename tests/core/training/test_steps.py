"""Optimiser steps in place, and captured ones against plain ones where there is a GPU."""

import pytest
import torch

from gr2st_core.training.steps import CapturedStep, PlainStep, restart, set_rate

SIZES = (7, 12)


def _terms(network, batches, section):
    error = (network(batches[section]) - 1).square()
    return {"largest": error.max(), "total": error.mean()}


def _task(device="cpu", **options):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.GELU(), torch.nn.Linear(16, 2)).to(device)
    unused = torch.nn.Parameter(torch.ones(3, device=device))
    optimiser = torch.optim.Adam([*network.parameters(), unused], weight_decay=0.1, fused=True, **options)
    batches = [torch.randn(size, 5, generator=torch.Generator().manual_seed(size)).to(device) for size in SIZES]
    return network, unused, optimiser, lambda section: _terms(network, batches, section)


def _run(step, epochs):
    logged = []
    for _ in range(epochs):
        for section in (1, 0):
            logged.append(step.gradients(section))
            step.update()
    return logged


def test_a_step_descends_and_leaves_parameters_without_gradient_alone():
    _, unused, optimiser, terms = _task(lr=1e-2)
    logged = _run(PlainStep(terms, optimiser), 30)
    assert logged[-1]["total"] < logged[1]["total"] / 2
    assert set(logged[0]) == {"largest", "total"}
    assert torch.equal(unused, torch.ones(3))


def test_gradients_without_an_update_change_nothing():
    network, _, optimiser, terms = _task(lr=1e-2)
    before = [parameter.clone() for parameter in network.parameters()]
    step = PlainStep(terms, optimiser)
    assert step.gradients(0) == step.gradients(0)
    assert all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))


def test_a_restarted_optimiser_steps_as_a_new_one():
    results = []
    for begin_anew in (restart, None):
        network, _, optimiser, terms = _task(lr=1e-2)
        step = PlainStep(terms, optimiser)
        _run(step, 3)
        if begin_anew is None:
            step = PlainStep(terms, torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=0.1, fused=True))
        else:
            begin_anew(optimiser)
        _run(step, 3)
        results.append([parameter.clone() for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize("in_place", [False, True], ids=["number", "tensor"])
def test_a_rate_of_zero_stops_and_a_tensor_stays_the_same_one(in_place):
    rate = torch.tensor(1e-2) if in_place else 1e-2
    network, _, optimiser, terms = _task(lr=rate)
    set_rate(optimiser, 0.0)
    assert (optimiser.param_groups[0]["lr"] is rate) == in_place
    before = [parameter.clone() for parameter in network.parameters()]
    _run(PlainStep(terms, optimiser), 1)
    assert all(torch.equal(one, other) for one, other in zip(before, network.parameters(), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("sections", [(0, 1), (1,)], ids=["all captured", "one plain"])
def test_captured_steps_are_plain_steps(sections):
    logged, trained = [], []
    for captured in (False, True):
        network, unused, optimiser, terms = _task("cuda", lr=torch.tensor(1e-2, device="cuda"))
        step = CapturedStep(terms, optimiser, sections) if captured else PlainStep(terms, optimiser)
        first = _run(step, 4)
        restart(optimiser)
        set_rate(optimiser, 1e-3)
        logged.append([*first, *_run(step, 4)])
        trained.append([parameter.detach().clone() for parameter in network.parameters()])
        assert torch.equal(unused.cpu(), torch.ones(3))
    for one, other in zip(*logged, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    for one, other in zip(*trained, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
