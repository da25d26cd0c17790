"""What a training took is that of the training alone."""

import time

import numpy as np
import pytest

from gr2st_core.training import cost
from gr2st_core.training.cost import measured

MIB = 1 << 20


def held(n_mib: int) -> None:
    """Hold so much memory for a moment."""
    assert np.ones(n_mib * MIB // 8).sum() > 0


@pytest.mark.skipif(not cost._reset_peak(), reason="the system does not let peaks be reset")
def test_the_peak_is_that_of_what_is_measured_not_of_what_was_before():
    held(400)
    with measured() as small:
        held(1)
    with measured() as large:
        held(200)
    assert 0 <= small.peak_memory_mb < 50
    assert 180 < large.peak_memory_mb < 250


def test_time_is_wall_time():
    with measured() as found:
        time.sleep(0.05)
    assert found.seconds >= 0.05


def test_where_the_system_does_not_say_the_peak_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "_PROCESS", tmp_path / "none")
    with measured() as found:
        pass
    assert found.peak_memory_mb is None
