"""Largest resident memory of the process that asks (Linux)."""

from pathlib import Path


def peak_mb() -> float:
    """Peak so far, in MB; unlike ``ru_maxrss`` not the parent's, if that was larger when it started this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
