"""Variants of the kernels that work on single numbers, on two threads, with float64 sums."""

from __future__ import annotations

import numpy as np
from numba import njit

import fastemd as fe

from ..core import naive
from ..harness.bandwidth import on_two_threads
from ..harness.measure import Call


@njit(nogil=True)
def _four_rows(a, b, length, value):
    """Four rows interleaved by hand: four chains of additions that do not wait for each other."""
    whole = value.size // 4 * 4
    for r in range(0, whole, 4):
        p, q, s, t = 0.0, 0.0, 0.0, 0.0
        w, x, y, z = 0.0, 0.0, 0.0, 0.0
        for e in range(length.size):
            p += np.float64(a[r, e]) - b[r, e]
            q += np.float64(a[r + 1, e]) - b[r + 1, e]
            s += np.float64(a[r + 2, e]) - b[r + 2, e]
            t += np.float64(a[r + 3, e]) - b[r + 3, e]
            w += length[e] * abs(p)
            x += length[e] * abs(q)
            y += length[e] * abs(s)
            z += length[e] * abs(t)
        value[r], value[r + 1], value[r + 2], value[r + 3] = w, x, y, z
    for r in range(whole, value.size):
        p, w = 0.0, 0.0
        for e in range(length.size):
            p += np.float64(a[r, e]) - b[r, e]
            w += length[e] * abs(p)
        value[r] = w


@njit(nogil=True)
def _sorted(a, b, length, value):
    """The weighted median of the prefix sums by sorting them and adding up their lengths."""
    n = length.size
    prefix = np.empty(n)
    half = 0.5 * length.sum()
    for r in range(value.size):
        running = 0.0
        for e in range(n):
            running += np.float64(a[r, e]) - b[r, e]
            prefix[e] = running
        weight, c = 0.0, 0.0
        for e in np.argsort(prefix):
            weight += length[e]
            if half <= weight:
                c = prefix[e]
                break
        total = 0.0
        for e in range(n):
            total += length[e] * abs(prefix[e] - c)
        value[r] = total


def _value(kernel, a: np.ndarray, b: np.ndarray, length: np.ndarray) -> Call:
    def call() -> np.ndarray:
        value = np.empty(len(a), a.dtype)
        on_two_threads(lambda part: kernel(a[part], b[part], length, value[part]), len(a))
        return value

    return call


def four_rows(a: np.ndarray, b: np.ndarray, space: fe.Chain) -> Call:
    """Return a call for the values of a chain."""
    return _value(_four_rows, a, b, space.lengths)


def sorted_prefixes(a: np.ndarray, b: np.ndarray, space: fe.Ring) -> Call:
    """Return a call for the values of a ring."""
    return _value(_sorted, a, b, space.lengths)


def reused_output(a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Tree) -> Call:
    """Return a call as `naive.gradient`, that writes its gradients into the same output each time."""
    value, grad = np.empty(len(a), a.dtype), np.zeros_like(a)

    def call() -> tuple[np.ndarray, np.ndarray]:
        on_two_threads(lambda part: naive._run(a[part], b[part], space, 1, value[part], grad[part]), len(a))
        return value, grad

    return call
