"""A small pool of Python threads. Kernels release the interpreter lock, and the rows of a call are split among threads.

Numba's own parallel loops are not used: with its workqueue layer two Python threads that call at once abort the
process, with its OpenMP layer a fork after the first call does. This pool may be called from any number of threads,
and a forked child starts with a new one.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and a register of eight float64
KEPT = 1 << 20  # float64 numbers of scratch that a thread keeps between calls: 8 MiB
PARALLEL = 1 << 18  # numbers from which on a second thread pays: waking one takes some 50 microseconds
PORTION = 1 << 23  # numbers that a thread works on before it looks for an interrupt: some 10 milliseconds
POWER = 16  # how many times as long a number takes where rho needs a power

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
    _count = thread_count(count)
    _forget_pool()


def _forget_pool() -> None:
    """Let the next call make a new pool: the old one's threads end with their work, or belong to the parent process."""
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


def share(work: Callable[[int, int], object], rows: int, grain: int, size: int) -> None:
    """Call `work(first, last)` on ranges that make up 0..rows, each but the last of whole grains.

    The rows are split among the threads if `size`, the numbers to work on, is worth it. Each thread works in portions,
    between which Ctrl-C and a failure elsewhere stop it. The calling thread is one of them. An exception in any of them
    is raised after all have ended.
    """
    portion = rows if size <= PORTION else max(PORTION * rows // size // grain * grain, grain)
    parts = min(get_num_threads(), -(-rows // grain)) if size >= PARALLEL else 1
    if parts <= 1 and portion >= rows:
        work(0, rows)
        return
    step = -(-rows // (parts * grain)) * grain
    stopped: list[bool] = []  # not empty once a thread has failed

    def work_on(first: int, last: int) -> None:
        try:
            for begin in range(first, last, portion):
                if begin > first and stopped:
                    return
                work(begin, min(begin + portion, last))
        except BaseException:
            stopped.append(True)
            raise

    own, *others = [(first, min(first + step, rows)) for first in range(0, rows, step)]
    futures = [future for range_ in others if (future := _submit(work_on, *range_)) is not None]
    try:
        work_on(*own)
        for range_ in others[len(futures) :]:
            work_on(*range_)
    finally:
        failures = [future.exception() for future in futures]
    for failure in failures:
        if failure is not None:
            raise failure


def _submit(work: Callable[[int, int], object], first: int, last: int) -> Future[object] | None:
    """Give a range to the pool, or return None once the interpreter shuts down and admits no new work."""
    try:
        return _executor().submit(work, first, last)
    except RuntimeError:
        return None


def thread_count(count: Any) -> int:
    """Return a number of threads as an int of at least 1."""
    try:
        if isinstance(count, bool | np.bool_):
            raise TypeError
        threads = operator.index(count)
    except TypeError:
        raise TypeError(f"count is of type {type(count).__name__}. Needed: a number of threads, an int.") from None
    if threads < 1:
        raise ValueError(f"count is {threads}. Needed: at least 1 thread.")
    return threads
