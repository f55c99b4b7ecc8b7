"""The Gibbs kernel of a ring, applied in O(n): every bin is reached by the shorter way round.

From bin i, the bins i + 1, ..., end(i) are nearer by the right, all others by the left. So the sum at i is that over a
window to the right, that over a window to the left, and its own weight. These are sliding-window sums. Removing a
weight from a running sum would be a subtraction, which cancels. Instead some bins are *anchors*: the window of bin i
contains the anchor m of its segment, and its sum is one over i + 1..m, a suffix sum that ends at the anchor, and one
over m + 1..end(i), a prefix sum that starts after it. Both are made by additions only. A ring needs about three
anchors, since the next but one lies beyond half of it. (This is the queue of two stacks for sliding-window aggregation;
for windows of one size, van Herk's algorithm.)

The windows to the left are those to the right on the mirrored ring. The transport cost needs sums of distance times
weight over the same windows, which are made in the same way.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..simd.extended_range import add, load_number, product, scaled, store_number, times_weight, weights, zero
from ..simd.lanes import INLINE, lanes
from .sweeps import register


class Side(NamedTuple):
    """The windows of one direction. Bins are numbered in that direction, and go on past n for a second round.

    `end[i]` is the last bin of the window that starts after bin i. Segment s consists of the bins from
    `anchor[s-1] + 1` (0 at first) to its anchor `anchor[s]`. `length`, `weight` and `exponent` are those of the edge
    after each bin.
    `to_anchor` is the distance from each bin to the anchor of its segment. `from_anchor` is the distance from an anchor
    to the bins after it, which begin at `offset[s]` for segment s. Their weights are exp(-distance / reg).
    """

    end: np.ndarray
    anchor: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    weight: np.ndarray
    exponent: np.ndarray
    to_anchor: np.ndarray
    to_anchor_weight: np.ndarray
    to_anchor_exponent: np.ndarray
    from_anchor: np.ndarray
    from_anchor_weight: np.ndarray
    from_anchor_exponent: np.ndarray


class Ring(NamedTuple):
    """Both directions, and how many entries of scratch a sweep needs; `exponent` is None for plain numbers."""

    right: Side
    left: Side
    exponent: np.ndarray
    entries: int


def prepare(space, reg, extended):
    """Return the layout."""
    length, n = space.lengths, space.n
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([length, length]))])
    half = 0.5 * twice[n]
    bins = np.arange(n)
    end = np.searchsorted(twice[: 2 * n], twice[:n] + half, side="right") - 1
    end = np.clip(end, bins, bins + n - 1)
    begin = end + 1 - n  # the bins begin(i), ..., i - 1 are nearer by the left
    right = _side(length, twice, end, reg, extended)
    mirrored = np.concatenate([length[n - 2 :: -1] if n > 1 else length[:0], length[-1:]])
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([mirrored, mirrored]))])
    left = _side(mirrored, twice, (n - 1 - begin)[::-1], reg, extended)
    return Ring(right, left, right.exponent, 4 * n)


def _side(length, position, end, reg, extended):
    """Return the windows of a direction, given the nondecreasing ends of the windows."""
    n = len(length)
    anchors, offsets, to_anchor, from_anchor = [], [0], np.zeros(n), []
    first = 0
    while first < n:
        anchor = min(int(end[first]), n - 1)
        to_anchor[first : anchor + 1] = position[anchor] - position[first : anchor + 1]
        from_anchor.append(position[anchor + 1 : end[anchor] + 1] - position[anchor])
        anchors.append(anchor)
        offsets.append(offsets[-1] + len(from_anchor[-1]))
        first = anchor + 1
    from_anchor = np.concatenate(from_anchor)
    return Side(
        np.ascontiguousarray(end),
        np.array(anchors),
        np.array(offsets),
        np.ascontiguousarray(length),
        *weights(length / reg, extended),
        to_anchor,
        *weights(to_anchor / reg, extended),
        from_anchor,
        *weights(from_anchor / reg, extended),
    )


@njit(**INLINE)
def _bin(j, n, mirrored):
    """Return the bin whose number in a direction is j."""
    j = j - n if j >= n else j
    return n - 1 - j if mirrored else j


@njit(**INLINE)
def _add_window_sums(side, n, mirrored, scratch):
    """Add the sum over the window of each bin i to entry n + i."""
    first = 0
    for s in range(side.anchor.size):
        anchor = side.anchor[s]
        suffix = zero(side.exponent)
        for i in range(anchor, first - 1, -1):
            store_number(scratch, 2 * n + i, suffix)
            if i > first:
                own = load_number(scratch, _bin(i, n, mirrored), side.exponent)
                suffix = times_weight(add(suffix, own), side.weight, side.exponent, i - 1)
        prefix = zero(side.exponent)
        j = anchor
        for i in range(first, anchor + 1):
            while j < side.end[i]:
                j += 1
                weight = load_number(scratch, _bin(j, n, mirrored), side.exponent)
                at = side.offset[s] + j - anchor - 1
                prefix = add(prefix, times_weight(weight, side.from_anchor_weight, side.from_anchor_exponent, at))
            window = add(
                load_number(scratch, 2 * n + i, side.exponent),
                times_weight(prefix, side.to_anchor_weight, side.to_anchor_exponent, i),
            )
            entry = n + _bin(i, n, mirrored)
            store_number(scratch, entry, add(load_number(scratch, entry, side.exponent), window))
        first = anchor + 1


@njit(**INLINE)
def _add_window_moments(side, n, mirrored, scratch):
    """As `_add_window_sums`, with every weight multiplied by its distance."""
    first = 0
    for s in range(side.anchor.size):
        anchor = side.anchor[s]
        suffix = suffix_moment = zero(side.exponent)
        for i in range(anchor, first - 1, -1):
            store_number(scratch, 2 * n + i, suffix)
            store_number(scratch, 3 * n + i, suffix_moment)
            if i > first:
                suffix = add(suffix, load_number(scratch, _bin(i, n, mirrored), side.exponent))
                suffix_moment = add(suffix_moment, scaled(suffix, side.length[i - 1]))
                suffix = times_weight(suffix, side.weight, side.exponent, i - 1)
                suffix_moment = times_weight(suffix_moment, side.weight, side.exponent, i - 1)
        prefix = prefix_moment = zero(side.exponent)
        j = anchor
        for i in range(first, anchor + 1):
            while j < side.end[i]:
                j += 1
                weight = load_number(scratch, _bin(j, n, mirrored), side.exponent)
                at = side.offset[s] + j - anchor - 1
                weight = times_weight(weight, side.from_anchor_weight, side.from_anchor_exponent, at)
                prefix = add(prefix, weight)
                prefix_moment = add(prefix_moment, scaled(weight, side.from_anchor[at]))
            beyond_anchor = times_weight(
                add(prefix_moment, scaled(prefix, side.to_anchor[i])), side.to_anchor_weight, side.to_anchor_exponent, i
            )
            entry = n + _bin(i, n, mirrored)
            window = add(load_number(scratch, 3 * n + i, side.exponent), beyond_anchor)
            store_number(scratch, entry, add(load_number(scratch, entry, side.exponent), window))
        first = anchor + 1


def sweep(space, n, scratch):
    """Add up both windows of every bin. Entries n.. are the sums from other bins; 2n.. and 3n.. are intermediate."""
    for i in range(n):
        store_number(scratch, n + i, zero(space.exponent))
    _add_window_sums(space.right, n, False, scratch)
    _add_window_sums(space.left, n, True, scratch)


def total(space, n, scratch, i):
    """The bin's own weight, and the sum from other bins."""
    return add(load_number(scratch, i, space.exponent), load_number(scratch, n + i, space.exponent))


def transport_cost(space, n, scratch, other, scale):
    """The product of each weight in scratch with the sum of distance * weight * kernel in other."""
    for i in range(n):
        store_number(other, n + i, zero(space.exponent))
    _add_window_moments(space.right, n, False, other)
    _add_window_moments(space.left, n, True, other)
    cost = lanes(0.0)
    for i in range(n):
        cost += product(load_number(scratch, i, space.exponent), load_number(other, n + i, space.exponent), scale)
    return cost


register(Ring, sweep=sweep, total=total, transport_cost=transport_cost)
