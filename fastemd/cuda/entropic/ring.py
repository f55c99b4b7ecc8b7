"""Sums of exp(x_j - distance(i, j) / reg) over the bins j of a ring, in O(n): windows, as in `fastemd.cpu.entropic.ring`.

From bin i, the bins i + 1, ..., end(i) are nearer by the right, all others by the left. Going round twice, the bins are
cut into segments such that no window reaches over more than two: each ends at the *anchor* to which the window of its
first bin reaches. So a window is a sum over the rest of its segment, and one over the beginning of the next; both come
from a walk along the segments, as in `walks`, and nothing is subtracted. Windows to the left are those to the right on
the ring mirrored.

The cost takes the same windows of weights times positions: a window's weights times their distance come to those less
the position of i times its weights, which is as exact as positions are beside the ring's length.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device
from .logsumexp import growth, logarithm, plus
from .walks import Relay, number, put, seed, sweeping, whole_number


class Walk(NamedTuple):
    """Addresses of what a kernel reads of a ring: for the right, then for the left, entries of bins round twice.

    `position` is that of a bin, `first` and `last` are those of its segment; `end` is the last bin of the window after
    each of the first n. `places` is n, and there is one of `levels`.
    """

    position: Any
    first: Any
    last: Any
    end: Any
    places: Any
    levels: Any


class Row(NamedTuple):
    """A row, and the side that windows are made for: 0 for the right, 1 for the left; see `walks.Row`."""

    x: Any
    n: Any
    walk: Any
    inverse: Any
    slot: Any
    out: Any
    side: Any


def prepare(space):
    """The arrays of a `Walk`, in its order, and its numbers."""
    length, n = space.arrays.length[: space.n], space.n
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([length, length]))])
    bins = np.arange(n)
    end = np.searchsorted(twice[: 2 * n], twice[:n] + 0.5 * twice[n], side="right") - 1
    end = np.clip(end, bins, bins + n - 1)
    begin = end + 1 - n  # the bins begin(i), ..., i - 1 are nearer by the left
    mirrored = np.concatenate([length[n - 2 :: -1] if n > 1 else length[:0], length[-1:]])
    back = np.concatenate([[0.0], np.cumsum(np.concatenate([mirrored, mirrored]))])
    ends = end, (n - 1 - begin)[::-1]
    segments = [_segments(each, n) for each in ends]
    first, last = (np.concatenate(z).astype(np.int32) for z in zip(*segments, strict=True))
    position = np.concatenate([twice[: 2 * n], back[: 2 * n]])
    return (position, first, last, np.concatenate(ends).astype(np.int32)), (n, 1)


def _segments(end, n):
    """The first and the last bin of each bin's segment, round twice."""
    first, last = np.zeros(2 * n, np.intp), np.zeros(2 * n, np.intp)
    start = 0
    while start < 2 * n:
        anchor = int(end[start]) if start < n else 2 * n - 1
        first[start : anchor + 1], last[start : anchor + 1] = start, anchor
        start = anchor + 1
    return first, last


@device
def position(row, j):
    """Where a bin is, in the direction of a side."""
    return number(row.walk.position, 2 * row.n * row.side + j)


@device
def bin_of(row, j):
    """Which bin is the j-th in the direction of a side."""
    j = j - row.n if j >= row.n else j
    return row.n - 1 - j if row.side == 1 else j


def windowing(size, moment):
    """The function that leaves in `row.out` ln of each window's sum of e**(x_j - position / reg), from i = 0 on.

    Under `moment`, weights are multiplied by their positions.
    """

    @device
    def weight(row, j):
        at = position(row, j)
        x = seed(row.x, bin_of(row, j)) - at * row.inverse
        return x + logarithm(at) if moment else x

    @device
    def onwards(row, j):
        return whole_number(row.walk.first, 2 * row.n * row.side + j)

    @device
    def keep(row, j, found, x):
        put(row.slot, j, plus(found, x))

    @device
    def weight_back(row, item):
        return weight(row, 2 * row.n - 1 - item)

    @device
    def backwards(row, item):
        return 2 * row.n - 1 - whole_number(row.walk.last, 2 * row.n * row.side + 2 * row.n - 1 - item)

    @device
    def join(row, item, found, x):
        """What is left of the segment of bin i is known now; what the window holds of the next one was before."""
        i = 2 * row.n - 1 - item
        if i < row.n:
            end = whole_number(row.walk.end, row.n * row.side + i)
            if end > whole_number(row.walk.last, 2 * row.n * row.side + i):
                found = plus(found, number(row.slot, end))
            put(row.out, i, found)

    forth, back = sweeping(weight, onwards, keep, size), sweeping(weight_back, backwards, join, size)

    @device
    def windows(row):
        forth(row, 2 * row.n)
        back(row, 2 * row.n)
        cuda.syncthreads()

    return windows


@functools.cache
def along_ring(size):
    """The `Relay` of rings for a block of `size` threads. Scratch: sums round twice, windows, windows of moments."""
    windows, moments = windowing(size, False), windowing(size, True)

    @device
    def sums(x, sums, n, walk, inverse, slot):
        for i in range(cuda.threadIdx.x, n, size):
            put(sums, i, seed(x, i))
        cuda.syncthreads()
        for side in range(2):
            row = Row(x, n, walk, inverse, slot, slot + 16 * n, side)
            windows(row)
            for i in range(cuda.threadIdx.x, n, size):
                place = bin_of(row, i)
                arriving = number(row.out, i) + position(row, i) * inverse
                put(sums, place, plus(number(sums, place), arriving))
            cuda.syncthreads()

    @device
    def cost(x, y, sums, n, walk, inverse, slot):
        found = 0.0
        for side in range(2):
            row = Row(y, n, walk, inverse, slot, slot + 16 * n, side)
            moved = Row(y, n, walk, inverse, slot, slot + 24 * n, side)
            windows(row)
            moments(moved)
            for i in range(cuda.threadIdx.x, n, size):
                at = position(row, i)
                own = seed(x, bin_of(row, i)) + at * inverse
                whole = growth(own + number(moved.out, i)) - at * growth(own + number(row.out, i))
                found = intrinsics.plus(found, whole)
            cuda.syncthreads()
        return found

    return Relay(sums=sums, cost=cost)
