"""From arrays of samples to the compiled kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types

from ... import threads
from ..compilation import array, entry
from . import kernels


class SampleSolution(NamedTuple):
    """Values (rows,), and gradients by x, y (rows, n or k) and by their weights; without gradients these are empty."""

    values: np.ndarray
    by_x: np.ndarray
    by_y: np.ndarray
    by_wx: np.ndarray
    by_wy: np.ndarray


def solve(
    x: np.ndarray, y: np.ndarray, wx: np.ndarray, wy: np.ndarray, rho: float, period: float, gradients: bool
) -> SampleSolution:
    """Return the answers to rows x (rows, n) and y (rows, k) with weights wx and wy, all of float64 in C order."""
    rows, n = x.shape
    k = y.shape[1]
    held = rows if gradients else 0
    shapes = [(rows,), (held, n), (held, k), (held, n), (held, k)]
    answer = SampleSolution(*(np.empty(shape) for shape in shapes))
    order_x, order_y = np.empty((rows, n), np.intp), np.empty((rows, k), np.intp)
    reals, order = array(np.float64, 2, "C"), array(np.intp, 2, "C")
    numbers = (types.float64, types.float64, types.boolean, array(np.float64, 1, "C"))
    signature = (*[reals] * 4, order, order, *numbers, *[reals] * 4, types.intp, types.intp)
    kernel = entry(kernels.samples, signature)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        order_x[part] = x[part].argsort(axis=1, kind="stable")
        order_y[part] = y[part].argsort(axis=1, kind="stable")
        kernel(x, y, wx, wy, order_x, order_y, rho, period, gradients, *answer, first, last)

    threads.share(work, rows, 1, rows * (n + k) * threads.POWER)
    return answer
