"""How much memory a call needs at its peak, beside what it is given."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path


def peak_of(call: Callable[[], object]) -> int | None:
    """Return by how many bytes memory rises at most while a call is made; None where the system does not tell.

    That is the larger of two figures. tracemalloc counts each byte of numpy's arrays and of Python's objects. Resident
    memory counts what other allocators do as well, such as those of PyTorch and XLA, but in pages, so that some hundred
    kilobytes are noise. What was freed before is handed back to the system first, or else it would be taken again
    unseen; that needs glibc, and Linux to reset the peak.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
        before = resident_peak(reset=True)
    except (AttributeError, OSError, TypeError):
        return None
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
