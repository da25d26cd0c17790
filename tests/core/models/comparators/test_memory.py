"""A section of 4,000 spots is predicted within the memory of an ordinary machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gr2st_core.models.comparators.specs import COMPARATORS

MOST_GIB = 8

PREDICT = """
import sys
from pathlib import Path

import numpy as np
import torch

from gr2st_core.models.comparators.inputs import SectionInputs
from gr2st_core.models.registry import METHODS
from gr2st_core.settings import Settings
from gr2st_core.types import ImageSection, SectionKey


class Noise:
    def __call__(self, pixel_xy, um_per_px, *, span_um, input_px):
        return np.random.default_rng(0).integers(0, 256, (len(pixel_xy), input_px, input_px, 3), dtype=np.uint8)


side = int(sys.argv[2])
grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)
ids = np.array([f"{x}x{y}" for x, y in grid.astype(int)])
image = ImageSection(SectionKey("toy", "A1"), "A", ids, grid, 100 * grid, 1.0, 100.0, {}, patches=Noise())
predictor = METHODS[sys.argv[1]].build(Settings())
network = predictor.network(predictor.source.shape, 8).eval()
with torch.no_grad():
    values = network(SectionInputs.of(image, predictor.source(image), predictor.settings.n_positions))
assert values.shape == (side**2, 8) and values.isfinite().all()
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**20)
"""


def peak_gib(name: str, side: int) -> float:
    done = subprocess.run([sys.executable, "-c", PREDICT, name, str(side)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def pixel_methods(size: str) -> list[str]:
    return [spec.name for spec in COMPARATORS if spec.profile == f"published{size}"]


@pytest.mark.parametrize("name", pixel_methods("_small"))
def test_small_settings_predict_4096_spots(name: str) -> None:
    assert peak_gib(name, 64) < MOST_GIB


@pytest.mark.slow
@pytest.mark.parametrize("name", pixel_methods(""))
def test_full_settings_predict_4096_spots(name: str) -> None:
    assert peak_gib(name, 64) < MOST_GIB
