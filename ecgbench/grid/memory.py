"""How much memory something takes at its peak, as the system counts it for this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"
"""What sets the peak of the resident memory back to what is resident now (proc_pid_clear_refs(5))."""


@dataclass
class MemoryMeter:
    """By how many MiB the process's resident memory rose at its peak; None where the system does not tell."""

    peak: float | None = None


@contextmanager
def measure_memory() -> Iterator[MemoryMeter]:
    """Measure the block: all threads of this process, no other process and no GPU.

    What it takes from memory that the process held already is not seen: the true peak is no less.
    """
    meter = MemoryMeter()
    before = _reset_peak()
    try:
        yield meter
    finally:
        after = None if before is None else _read_peak()
        if before is not None and after is not None:
            meter.peak = max(after - before, 0.0)


def _reset_peak() -> float | None:
    """Return what is resident now, in MiB; None where the mark cannot be set, as outside of Linux."""
    with suppress(OSError):
        _RESET.write_text(_RESET_PEAK)
        return _read_peak()
    return None


def _read_peak() -> float | None:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None
