"""The memory bandwidth: two loops that move numbers and compute next to nothing, on two threads.

`read` adds up two arrays (2 x nbytes counted), as a value has to read two; `triad` is ``out = a + 3 * b`` (3 x nbytes
counted: the cache's own read of a line before it is written is not counted, here or for any solver), as a value with
a gradient has to read two arrays and write one.

Everything is said relative to these loops, so a slow one would flatter fastemd. Each thread gets a slice of its own: a
loop from `first` to `last` over the whole array read 6.6 GB/s where slices read 43, as much as BLAS's dot product on
two threads (43) and more than torch's (36); triad 42 GB/s, torch.add 34 (2 cores of an AMD EPYC, 65,536 x 1,000). And a
share that memory cannot explain is not checked, see `measure.Bar`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

THREADS = 2
_other = ThreadPoolExecutor(1)


def on_two_threads(work: Callable[[slice], object], size: int) -> None:
    """Call `work` on both halves of 0..size at once, one of them in this thread."""
    half = size // 2
    future = _other.submit(work, slice(half, size))
    work(slice(half))
    future.result()


@njit(nogil=True, fastmath=True)
def _read(a, b):
    total = np.float32(0)
    for i in range(a.size):
        total += a[i] + b[i]
    return total


@njit(nogil=True)
def _triad(a, b, out):
    for i in range(a.size):
        out[i] = a[i] + np.float32(3) * b[i]


def loops(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> tuple[dict, dict[str, int]]:
    """Return the loops over these very arrays as contenders (triad only where there is an `out`), and their bytes."""
    x, y = a.reshape(-1), b.reshape(-1)
    beside = {"read": lambda: on_two_threads(lambda part: _read(x[part], y[part]), x.size)}
    counted = {"read": x.nbytes + y.nbytes}
    if out is not None:
        z = out.reshape(-1)
        beside["triad"] = lambda: on_two_threads(lambda part: _triad(x[part], y[part], z[part]), x.size)
        counted["triad"] = x.nbytes + y.nbytes + z.nbytes
    return beside, counted
