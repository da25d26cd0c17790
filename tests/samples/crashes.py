"""Processes that are killed at a named point, and disks that fail at the n-th call."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gr2st_assets.publish import CRASH_VARIABLE

FORK = multiprocessing.get_context("fork")


def is_killed(point: str, act: Callable[[], object]) -> bool:
    """Do something in a child process that ``publish.crash_point`` is to kill there; whether it did."""

    def child() -> None:
        os.environ[CRASH_VARIABLE] = point
        act()

    process = FORK.Process(target=child)
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


@contextmanager
def failing(call: str, after: int, code: int) -> Iterator[None]:
    """Let ``os.<call>`` work so many times, and fail from then on."""
    real, calls = getattr(os, call), iter(range(after))

    def shim(*arguments: object, **keywords: object) -> object:
        if next(calls, None) is None:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, shim)
        yield


def each_failure(call: str, code: int, act: Callable[[], object]) -> Iterator[OSError]:
    """Do something again and again, ever more calls of ``os.<call>`` working, until it gets through; every error."""
    for after in range(50):
        try:
            with failing(call, after, code):
                act()
        except OSError as error:
            yield error
        else:
            assert after > 0, f"{call} is never called"
            return
    raise AssertionError(f"{call} is called without end")
