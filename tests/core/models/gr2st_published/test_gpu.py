"""The published states on a GPU against the CPU, and captured steps against plain ones; skipped where there is none."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from gr2st_core.models.gr2st_published import predictor as predictor_module
from gr2st_core.models.gr2st_published.learner import PublishedLearner
from gr2st_core.models.gr2st_published.predictor import PublishedPredictor
from gr2st_core.training.loop import seeded
from gr2st_core.training.steps import CapturedStep, PlainStep

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def _still(tiny, **changes):
    """Without dropout, whose masks are drawn by each device's own generator."""
    return PublishedPredictor(("tiny",), tiny.settings.model_copy(update={"dropout": 0.0, **changes}))


def _learner(predictor, job):
    return PublishedLearner(
        job.sections,
        panel=job.panel,
        seed=0,
        features=("tiny",),
        settings=predictor.settings,
        device=torch.device("cuda"),
    )


def test_captured_losses_are_those_of_plain_steps(tiny, job):
    predictor, logged = _still(tiny, late_epoch=2) if tiny.profile == "r2" else _still(tiny), []
    for captured in (False, True):
        learner = _learner(predictor, job)
        assert isinstance(learner._step, CapturedStep)
        if not captured:
            learner._step = PlainStep(learner._step.plain.terms, learner.optimiser)
        logged.append([])
        for epoch in range(4):
            with seeded(0, "test", epoch):
                logged[-1] += [learner.step(section, epoch) for section in (2, 0, 1)]
    for one, other in zip(*logged, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_dropout_in_captured_steps_follows_the_seed(tiny, job):
    learner = _learner(_still(tiny, dropout=0.1), job)
    learner.step(0, 0)
    totals = []
    for seed in (1, 1, 2):
        with seeded(seed, "test"):
            totals.append(learner._step.gradients(0)["total"])  # no update: the parameters stay
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)
    assert totals[0] != pytest.approx(totals[2], rel=1e-4)


def test_a_fit_on_the_gpu_is_the_cpu_s_to_a_thousandth(tiny, job, typed_section, monkeypatch):
    # with the whole bank retrieved: near its edge, rounding decides who is in it
    predictor, image = _still(tiny, epochs=2, top_k=1000), typed_section("B2").image
    states, trained, applied = {}, {}, {}
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(predictor_module, "pick_device", partial(torch.device, device))
        fitted = predictor.fit(job)
        states[device], trained[device] = fitted.state(), fitted.predict(image).values
        applied[device] = predictor.load(states["cpu"]).predict(image).values
    np.testing.assert_allclose(applied["cuda"], applied["cpu"], atol=1e-3)
    np.testing.assert_allclose(trained["cuda"], trained["cpu"], atol=1e-3)


def test_an_interrupted_fit_on_the_gpu_continues(tiny, job, tmp_path):
    class KilledError(Exception):
        pass

    def kill(_, done, __):
        if done == 3:
            raise KilledError

    predictor = _still(tiny)
    whole = predictor.fit(job).history
    with pytest.raises(KilledError):
        predictor.fit(dataclasses.replace(job, workdir=tmp_path, progress=kill))
    resumed = predictor.fit(dataclasses.replace(job, workdir=tmp_path)).history
    assert resumed["epoch"].max() == predictor.settings.epochs
    np.testing.assert_allclose(resumed["value"], whole["value"], rtol=1e-2)
