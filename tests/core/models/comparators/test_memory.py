"""A section of 4,096 spots is predicted within the memory of an ordinary machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gr2st_core.models.comparators.specs import COMPARATORS

MOST_GIB = 8
CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = Path(__file__).parents[3]

SMALL = {spec.settings: spec.name for spec in reversed(COMPARATORS) if spec.profile.endswith("_small")}
"""Of each small system the first of its profiles: on pixels, where it reads them."""

PREDICT = """
import json, os, runpy, sys
from pathlib import Path

import numpy as np
import pandas
import torch

from gr2st_core.models.spec import M224
from gr2st_core.predictor import FitRequest
from gr2st_core.keys import SectionKey
from gr2st_core.types import ImageSection, Panel
from samples.pictured import quick, with_pixels

SIDE = 64


def noise(pixel_xy, um_per_px, *, span_um, input_px):
    return np.random.default_rng(0).integers(0, 256, (len(pixel_xy), input_px, input_px, 3), dtype=np.uint8)


def large(d_features):
    xy = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2)
    ids = np.array([f"{x}x{y}" for x, y in xy])
    features = {M224[0]: np.random.default_rng(0).normal(size=(len(xy), d_features)).astype(np.float32)}
    grid = xy.astype(float)
    return ImageSection(SectionKey("toy", "C1"), "C", ids, grid, 100 * grid, 1.0, 100.0, features, patches=noise)


def peak_gib(name):
    sections = [with_pixels(planted["build_planted_section"](key, encoders=M224)) for key in ("A1", "A2", "B1")]
    panel = Panel("planted", planted["PLANTED_GENES"])
    fitted = quick(name, epochs=1).fit(FitRequest(sections, panel, "per_spot"))
    values = fitted.predict(large(sections[0].image.features[M224[0]].shape[1])).values
    assert len(values) == SIDE**2 and np.isfinite(values).all()
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**20


planted = runpy.run_path(sys.argv[1])
for name in sys.argv[2:]:
    if not (child := os.fork()):  # each has a peak of its own, and what is imported is imported once
        print(json.dumps([name, peak_gib(name)]), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} failed")
"""


def peaks_gib(*names: str) -> dict[str, float]:
    """Largest resident memory of a process that trains each method on little and predicts a large section."""
    command = [sys.executable, "-c", PREDICT, str(CONFTEST), *names]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


@pytest.fixture(scope="module")
def small_peaks() -> dict[str, float]:
    return peaks_gib(*SMALL.values())


@pytest.mark.parametrize("name", SMALL.values())
def test_small_settings_predict_4096_spots(name: str, small_peaks: dict[str, float]) -> None:
    assert 0.1 < small_peaks[name] < MOST_GIB
