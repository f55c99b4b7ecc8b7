"""Naive loops: scalar, row after row, into fresh output, compiled by numba.

The rows are split in two halves, one for each thread; rho is 1 or 2. The difference from fastemd's kernels is the
effect of their arrangement, beside that of the compiler.
"""

from __future__ import annotations

import numpy as np
from numba import njit

import fastemd as fe

from ..harness.bandwidth import on_two_threads
from ..harness.measure import Call


@njit(nogil=True)
def _cost(phi, rho):
    return abs(phi) if rho == 1 else phi * phi


@njit(nogil=True)
def _slope(phi, rho):
    return np.sign(phi) if rho == 1 else 2.0 * phi


@njit(nogil=True)
def _chain_value(a, b, length, rho, value):
    for r in range(value.size):
        phi, total = 0.0, 0.0
        for e in range(length.size):
            phi += a[r, e] - b[r, e]
            total += length[e] * _cost(phi, rho)
        value[r] = total


@njit(nogil=True)
def _chain_gradient(a, b, length, rho, value, grad):
    m = length.size
    flow = np.empty(m)
    for r in range(value.size):
        phi, total, f, mean = 0.0, 0.0, 0.0, 0.0
        for e in range(m):
            phi += a[r, e] - b[r, e]
            flow[e] = phi
            total += length[e] * _cost(phi, rho)
        value[r] = total
        grad[r, m] = 0.0
        for e in range(m - 1, -1, -1):
            f += length[e] * _slope(flow[e], rho)
            grad[r, e] = f
            mean += f / (m + 1)
        for i in range(m + 1):
            grad[r, i] -= mean


@njit(nogil=True)
def _tree(a, b, up, length, place, rho, value, grad):
    flow = np.empty(up.size)
    for r in range(value.size):
        flow[:] = 0.0
        for i in range(place.size):
            flow[place[i]] = a[r, i] - b[r, i]
        total = 0.0
        for v in range(up.size - 1, 0, -1):
            flow[up[v]] += flow[v]
            total += length[v] * _cost(flow[v], rho)
        value[r] = total
        if grad.size == 0:
            continue
        flow[0] = 0.0
        for v in range(1, up.size):
            flow[v] = flow[up[v]] + length[v] * _slope(flow[v], rho)
        mean = 0.0
        for i in range(place.size):
            mean += flow[place[i]] / place.size
        for i in range(place.size):
            grad[r, i] = flow[place[i]] - mean


def value(a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Tree, rho: int) -> Call:
    """Return a call for the values of a chain or a tree."""

    def call() -> np.ndarray:
        value = np.empty(len(a), a.dtype)
        nothing = np.empty((len(a), 0), a.dtype)
        on_two_threads(lambda part: _run(a[part], b[part], space, rho, value[part], nothing[part]), len(a))
        return value

    return call


def gradient(a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Tree, rho: int) -> Call:
    """Return a call for the values and centred gradients of a chain or a tree."""

    def call() -> tuple[np.ndarray, np.ndarray]:
        value, grad = np.empty(len(a), a.dtype), np.empty_like(a)
        on_two_threads(lambda part: _run(a[part], b[part], space, rho, value[part], grad[part]), len(a))
        return value, grad

    return call


def _run(
    a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Tree, rho: int, value: np.ndarray, grad: np.ndarray
) -> None:
    if space.kind == "tree":
        up, length, place, _ = space.arrays
        _tree(a, b, up, length, place, rho, value, grad)
    elif grad.size:
        _chain_gradient(a, b, space.lengths, rho, value, grad)
    else:
        _chain_value(a, b, space.lengths, rho, value)
