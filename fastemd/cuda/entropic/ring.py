"""The Gibbs kernel of a ring, applied in O(n): every bin is reached by the shorter way round.

From bin i, the bins i + 1, ..., end(i) are nearer by the right, all others by the left; these are the windows of i, as
in `fastemd.cpu.entropic.ring`. Going round twice, the bins are cut into segments such that no window reaches over more
than two: each segment ends at the *anchor*, the end of the window of its first bin. So a window's sum is one over the
rest of its segment plus one over the beginning of the next. Both come from scans along the segments, and nothing is
subtracted. Windows to the left are those to the right on the mirrored ring.

The transport cost takes the same windows of weights times positions: a window's sum of weight * distance is its sum of
weight * position less the position of i times its sum of weights. This is as exact as positions are relative to the
ring's length.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device
from .logsumexp import clamped_exp, logarithm, logsumexp
from .state import load, log_weight, store
from .sweeps import Sweeps, load_int, scan


class Ring(NamedTuple):
    """What the sweeps of a ring read: for the right, then for the left, entries of bins round twice.

    position : of each bin
    first, last : bins of its segment
    end : last bin of the window after each of the first n
    """

    position: Any
    first: Any
    last: Any
    end: Any
    nodes: Any
    levels: Any


class Row(NamedTuple):
    """A row of weights, its scratch, the address `out` of its window sums, and their side: 0 right, 1 left."""

    x: Any
    n: Any
    space: Any
    inverse_reg: Any
    scratch: Any
    out: Any
    side: Any


def prepare(space):
    """Return what the sweeps of a ring read."""
    length, n = space.arrays.length[: space.n], space.n
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([length, length]))])
    bins = np.arange(n)
    end = np.searchsorted(twice[: 2 * n], twice[:n] + 0.5 * twice[n], side="right") - 1
    end = np.clip(end, bins, bins + n - 1)
    begin = end + 1 - n  # the bins begin(i), ..., i - 1 are nearer by the left
    mirrored = np.concatenate([length[n - 2 :: -1] if n > 1 else length[:0], length[-1:]])
    back = np.concatenate([[0.0], np.cumsum(np.concatenate([mirrored, mirrored]))])
    ends = end, (n - 1 - begin)[::-1]
    segments = [_segments(ends_of_side, n) for ends_of_side in ends]
    first, last = (np.concatenate(z).astype(np.int32) for z in zip(*segments, strict=True))
    position = np.concatenate([twice[: 2 * n], back[: 2 * n]])
    return Ring(position, first, last, np.concatenate(ends).astype(np.int32), n, 1)


def _segments(end, n):
    """Return the first and the last bin of each bin's segment, round twice."""
    first, last = np.zeros(2 * n, np.intp), np.zeros(2 * n, np.intp)
    start = 0
    while start < 2 * n:
        anchor = int(end[start]) if start < n else 2 * n - 1
        first[start : anchor + 1], last[start : anchor + 1] = start, anchor
        start = anchor + 1
    return first, last


@device
def position(row, j):
    """Return the position of a bin in the direction of a side."""
    return load(row.space.position, 2 * row.n * row.side + j)


@device
def bin_of(row, j):
    """Return the j-th bin in the direction of a side."""
    j = j - row.n if j >= row.n else j
    return row.n - 1 - j if row.side == 1 else j


def window_sums(size, moment):
    """Return the function that stores in `row.out` ln of each window's sum of e**(x_j - position / reg), from i = 0 on.

    Under `moment`, weights are multiplied by their positions.
    """

    @device
    def value(row, j):
        p = position(row, j)
        x = log_weight(row.x, bin_of(row, j)) - p * row.inverse_reg
        return x + logarithm(p) if moment else x

    @device
    def segment_start(row, j):
        return load_int(row.space.first, 2 * row.n * row.side + j)

    @device
    def store_before(row, j, before, x):
        store(row.scratch, j, logsumexp(before, x))

    @device
    def value_from_end(row, item):
        return value(row, 2 * row.n - 1 - item)

    @device
    def segment_end(row, item):
        return 2 * row.n - 1 - load_int(row.space.last, 2 * row.n * row.side + 2 * row.n - 1 - item)

    @device
    def store_window(row, item, rest, x):
        """Store the window of bin i: the rest of its segment, and the beginning of the next from the first scan."""
        i = 2 * row.n - 1 - item
        if i < row.n:
            end = load_int(row.space.end, row.n * row.side + i)
            if end > load_int(row.space.last, 2 * row.n * row.side + i):
                rest = logsumexp(rest, load(row.scratch, end))
            store(row.out, i, rest)

    scan_before = scan(value, segment_start, store_before, size)
    scan_after = scan(value_from_end, segment_end, store_window, size)

    @device
    def sums_of_windows(row):
        scan_before(row, 2 * row.n)
        scan_after(row, 2 * row.n)
        cuda.syncthreads()

    return sums_of_windows


@functools.cache
def build(size):
    """Return the `Sweeps` of rings for a block of `size` threads.

    Scratch has sums round twice, window sums, and window sums of moments.
    """
    weights, moments = window_sums(size, False), window_sums(size, True)

    @device
    def apply_kernel(x, sums, n, space, inverse_reg, scratch):
        for i in range(cuda.threadIdx.x, n, size):
            store(sums, i, log_weight(x, i))
        cuda.syncthreads()
        for side in range(2):
            row = Row(x, n, space, inverse_reg, scratch, scratch + 16 * n, side)
            weights(row)
            for i in range(cuda.threadIdx.x, n, size):
                j = bin_of(row, i)
                arriving = load(row.out, i) + position(row, i) * inverse_reg
                store(sums, j, logsumexp(load(sums, j), arriving))
            cuda.syncthreads()

    @device
    def transport_cost(x, y, sums, n, space, inverse_reg, scratch):
        cost = 0.0
        for side in range(2):
            row = Row(y, n, space, inverse_reg, scratch, scratch + 16 * n, side)
            moment_row = Row(y, n, space, inverse_reg, scratch, scratch + 24 * n, side)
            weights(row)
            moments(moment_row)
            for i in range(cuda.threadIdx.x, n, size):
                p = position(row, i)
                own = log_weight(x, bin_of(row, i)) + p * inverse_reg
                share = clamped_exp(own + load(moment_row.out, i)) - p * clamped_exp(own + load(row.out, i))
                cost = intrinsics.plus(cost, share)
            cuda.syncthreads()
        return cost

    return Sweeps(apply_kernel=apply_kernel, transport_cost=transport_cost)
