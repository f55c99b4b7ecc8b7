"""What memory can do: two loops that move numbers and do next to nothing else, on two threads.

`read` adds up two arrays (2 x nbytes counted), as a value has to read two; `triad` is ``out = a + 3 * b`` (3 x nbytes
counted: the cache's own read of a line before it is written is not counted, here or for any solver), as a value with
a gradient has to read two arrays and write one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

THREADS = 2
_other = ThreadPoolExecutor(1)


def on_two_threads(work: Callable[[int, int], object], size: int) -> None:
    """Call `work(first, last)` on both halves of 0..size at once, one of them in this thread."""
    half = size // 2
    future = _other.submit(work, half, size)
    work(0, half)
    future.result()


@njit(nogil=True, fastmath=True)
def _read(a, b, first, last):
    total = np.float32(0)
    for i in range(first, last):
        total += a[i] + b[i]
    return total


@njit(nogil=True)
def _triad(a, b, out, first, last):
    for i in range(first, last):
        out[i] = a[i] + np.float32(3) * b[i]


def loops(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> tuple[dict, dict[str, int]]:
    """Return the loops over these very arrays as contenders (triad only where there is an `out`), and their bytes."""
    x, y = a.reshape(-1), b.reshape(-1)
    beside = {"read": lambda: on_two_threads(lambda first, last: _read(x, y, first, last), x.size)}
    counted = {"read": x.nbytes + y.nbytes}
    if out is not None:
        z = out.reshape(-1)
        beside["triad"] = lambda: on_two_threads(lambda first, last: _triad(x, y, z, first, last), x.size)
        counted["triad"] = x.nbytes + y.nbytes + z.nbytes
    return beside, counted
