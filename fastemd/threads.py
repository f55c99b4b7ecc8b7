"""A small pool of Python threads over which kernels, which hold no lock, share out their rows.

Numba's own parallel loops are not used: with its workqueue layer two Python threads that call at once abort the
process, with its OpenMP layer a fork after the first call does. This pool may be called from any number of threads,
and a forked child begins with a new one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from . import validation

ALIGNMENT = 64  # bytes: a cache line, and a register of eight float64
KEPT = 1 << 20  # float64 numbers of scratch that a thread keeps between calls: 8 MiB

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_count: int | None = None


def get_num_threads() -> int:
    """Return how many threads a call may use.

    Returns
    -------
    int
        What `set_num_threads` set, else the environment variable NUMBA_NUM_THREADS, else the processors that this
        process may run on.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.get_num_threads() >= 1
    True
    """
    if _count is not None:
        return _count
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(count: int) -> None:
    """Set how many threads a call may use, in this process.

    Answers do not depend on it, bit for bit. Small jobs use one thread whatever is set.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If `count` is not a whole number, or less than 1.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.set_num_threads(2)
    >>> fe.get_num_threads()
    2
    """
    global _count
    _count = validation.thread_count(count)
    _forget_pool()


def _forget_pool() -> None:
    """Let the next call make a pool: the threads of the old one end with their work, or stayed in the parent."""
    global _pool, _lock
    _lock = threading.Lock()
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _executor() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, get_num_threads() - 1), thread_name_prefix="fastemd")
        return _pool


def share(work: Callable[[int, int], object], rows: int, grain: int, parts: int) -> None:
    """Call `work(first, last)` on `parts` ranges that make up 0..rows, each but the last of whole grains.

    One range is worked by the calling thread. An exception in any of them is raised, after all have ended.
    """
    step = -(-rows // (parts * grain)) * grain
    ranges = [(first, min(first + step, rows)) for first in range(0, rows, max(step, 1))]
    if len(ranges) <= 1:
        work(0, rows)
        return
    others = [_executor().submit(work, *range_) for range_ in ranges[1:]]
    try:
        work(*ranges[0])
    finally:
        failures = [future.exception() for future in others]
    for failure in failures:
        if failure is not None:
            raise failure
