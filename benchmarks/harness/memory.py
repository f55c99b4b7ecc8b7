"""The memory that a call needs at its peak, beside its arguments."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path


def peak_of(call: Callable[[], object]) -> int | None:
    """Return by how many bytes memory rises at most during a call; None where the system does not say.

    Memory that was freed before is handed back to the system first: reused memory would not be seen. That needs glibc,
    and Linux to reset the peak.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        resident_peak()
    except (AttributeError, OSError, TypeError):
        return None
    return rise_of(call)


def rise_of(call: Callable[[], object]) -> int:
    """Return by how many bytes memory rises at most during a call, in a process that has freed little before.

    This is the larger of two figures. tracemalloc counts each byte of numpy's arrays and of Python's objects, in all
    threads. Resident memory counts other allocators as well, such as those of PyTorch and XLA, and the stacks of
    threads, but in pages, so that some hundred kilobytes are noise.
    """
    before = resident_peak(reset=True)
    tracemalloc.start()
    try:
        answer = call()
        traced = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    resident = resident_peak() - before
    del answer
    return max(resident, traced)


def resident_peak(*, reset: bool = False) -> int:
    """Return the peak of resident memory, which Linux lets a process reset to what is resident now."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reset:
        with contextlib.suppress(PermissionError):  # as in some containers: the peak so far hides smaller ones
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    for line in status.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{status} has no line VmHWM")
