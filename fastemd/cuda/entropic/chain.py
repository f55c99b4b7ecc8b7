"""The Gibbs kernel of a chain: one sweep from either end.

With D the position of each bin over reg, the bins to the left of i add up to e**-D_i times the sum of e**(x_j + D_j),
and likewise mirrored. Slot j has ln of the sum up to bin j, times e**D; slot n + j that from the next bin on, times
e**-D.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from ..primitives.intrinsics import cuda, device, types
from .logsumexp import logsumexp
from .state import load, log_weight, store
from .sweeps import scan, sweeps_of_edges


class Chain(NamedTuple):
    """What the sweeps of a chain read: the length of the edge after each bin, and the bin's position."""

    length: Any
    position: Any
    nodes: Any
    levels: Any


class Row(NamedTuple):
    """A row of weights, and the addresses of its sums and scratch."""

    x: Any
    sums: Any
    n: Any
    space: Any
    inverse_reg: Any
    scratch: Any


def prepare(space):
    """Return what the sweeps of a chain read; an edge is added after the last bin."""
    length = np.append(space.arrays.length, 0.0)
    position = np.concatenate([[0.0], np.cumsum(space.arrays.length)])
    return Chain(length, position, space.n, 0)


@functools.cache
def build(size):
    """Return the `Sweeps` of chains for a block of `size` threads."""

    @device
    def position(row, j):
        return load(row.space.position, j) * row.inverse_reg

    @device
    def start_of_row(row, item):
        return types.int64(0)

    @device
    def rightward(row, j):
        return log_weight(row.x, j) + position(row, j)

    @device
    def store_left(row, j, before, x):
        store(row.scratch, j, logsumexp(before, x))

    @device
    def leftward(row, item):
        j = row.n - 1 - item
        return log_weight(row.x, j) - position(row, j)

    @device
    def store_right(row, item, before, x):
        j = row.n - 1 - item
        p = position(row, j)
        store(row.scratch, row.n + j, before)
        store(row.sums, j, logsumexp(load(row.scratch, j) - p, before + p))

    sweep_right = scan(rightward, start_of_row, store_left, size)
    sweep_left = scan(leftward, start_of_row, store_right, size)

    @device
    def apply_kernel(x, sums, n, space, inverse_reg, scratch):
        row = Row(x, sums, n, space, inverse_reg, scratch)
        sweep_right(row, n)
        sweep_left(row, n)
        cuda.syncthreads()

    return sweeps_of_edges(apply_kernel, size)
