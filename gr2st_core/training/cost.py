"""What a training took: time, memory, device.

Belongs here: measuring. Does not belong here: keeping the numbers; they differ from run to run, so no file whose bytes
are a function of its inputs may hold them.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from gr2st_core.training.device import pick_device

_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"
_MIB = 1 << 20


@dataclass(slots=True)
class Cost:
    """Of one training; filled in when it ends.

    Attributes
    ----------
    seconds
        Wall time.
    peak_memory_mb
        Most memory that the process held meanwhile above what it held before, in MiB: libraries and sections that
        were read already are not in it. None where the system does not say.
    peak_gpu_memory_mb
        Most memory of tensors on the GPU meanwhile, in MiB; None without one.
    device
        ``cpu`` or ``cuda``: where networks train. Methods without one compute on the CPU everywhere.
    """

    seconds: float = 0.0
    peak_memory_mb: float | None = None
    peak_gpu_memory_mb: float | None = None
    device: str = "cpu"

    def after(self, parts: Iterable[Cost]) -> Cost:
        """Cost with that of trainings that it found finished: the sum of seconds, the most of memory."""
        every = [self, *parts]
        memory, gpu_memory = (
            max((value for cost in every if (value := getattr(cost, name)) is not None), default=None)
            for name in ("peak_memory_mb", "peak_gpu_memory_mb")
        )
        return Cost(sum(cost.seconds for cost in every), memory, gpu_memory, self.device)


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure what is done within; trainings of one process must not overlap."""
    device = pick_device()
    cost = Cost(device=device.type)
    _give_back()
    before = _status_mb("VmRSS") if _reset_peak() else None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - started
    peak = _status_mb("VmHWM")
    cost.peak_memory_mb = None if before is None or peak is None else peak - before
    if device.type == "cuda":
        cost.peak_gpu_memory_mb = torch.cuda.max_memory_allocated(device) / _MIB


def _give_back() -> None:
    """Return to the system what was freed, where the C library can: memory that is used again would not be seen."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    """Let the process's peak start anew: it is that of everything the process ever did."""
    try:
        (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _status_mb(name: str) -> float | None:
    """A figure of the process's status, in MiB."""
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)
