"""The Gibbs kernel of a ring, applied in O(n): every bin is reached by the shorter way round.

From bin i, the bins i + 1, ..., end(i) are nearer by the right, all others by the left. So the sum at i is that over a
window to the right, that over one to the left, and its own weight. Windows slide; but taking a weight off a running
sum is a subtraction, which cancels. Instead some bins are *anchors*: a window from i reaches its anchor m and goes
on to its end, and its sum is one over i + 1..m, grown backwards from the anchor, and one over m + 1..end(i), grown
forwards. Both only ever add. A ring needs some three anchors, since the next but one lies beyond half of it.
(The two stacks of a queue that knows its sum; van Herk's filter for windows of one size.)

The windows to the left are those to the right on the ring mirrored. The cost needs sums of distance times weight, which
are carried along in the same way.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..simd.extended_range import fetch, nothing, plus, product, stow, stretched, times, weights
from ..simd.lanes import INLINE, lanes
from .sweeps import register


class Side(NamedTuple):
    """The windows of one direction, bins counted that way and on past n for a second round.

    `end[i]` is the last bin of the window that starts after bin i; segment s has the anchor `anchor[s]` and the windows
    after the bins from `anchor[s - 1] + 1` (0 at first) to it. `length`, `weight`, `power` belong to the edge after
    each bin, `near...` to the way from a bin to its anchor, `far...` to that from an anchor to the bins after it, the
    first of segment s at `offset[s]`.
    """

    end: np.ndarray
    anchor: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    weight: np.ndarray
    power: np.ndarray
    near: np.ndarray
    near_weight: np.ndarray
    near_power: np.ndarray
    far: np.ndarray
    far_weight: np.ndarray
    far_power: np.ndarray


class Ring(NamedTuple):
    """Both directions; `power` is None where weights are plain numbers."""

    right: Side
    left: Side
    power: np.ndarray
    places: int


def prepare(space, reg, extended):
    """Return what the sweep of a ring reads."""
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
    return Ring(right, left, right.power, 4 * n)


def _side(length, position, end, reg, extended):
    """The windows whose ends, never falling, are `end`."""
    n = len(length)
    anchors, offsets, near, far = [], [0], np.zeros(n), []
    first = 0
    while first < n:
        anchor = min(int(end[first]), n - 1)
        near[first : anchor + 1] = position[anchor] - position[first : anchor + 1]
        far.append(position[anchor + 1 : end[anchor] + 1] - position[anchor])
        anchors.append(anchor)
        offsets.append(offsets[-1] + len(far[-1]))
        first = anchor + 1
    far = np.concatenate(far)
    return Side(
        np.ascontiguousarray(end),
        np.array(anchors),
        np.array(offsets),
        np.ascontiguousarray(length),
        *weights(length / reg, extended),
        near,
        *weights(near / reg, extended),
        far,
        *weights(far / reg, extended),
    )


@njit(**INLINE)
def _bin(j, n, mirrored):
    """Which bin is the j-th in a direction."""
    j = j - n if j >= n else j
    return n - 1 - j if mirrored else j


@njit(**INLINE)
def _windows(side, n, mirrored, buffer):
    """Leave in place n + i what comes to bin i out of its window, added to what is there."""
    first = 0
    for s in range(side.anchor.size):
        anchor = side.anchor[s]
        before = nothing(side.power)
        for i in range(anchor, first - 1, -1):
            stow(buffer, 2 * n + i, before)
            if i > first:
                own = fetch(buffer, _bin(i, n, mirrored), side.power)
                before = times(plus(before, own), side.weight, side.power, i - 1)
        beyond = nothing(side.power)
        j = anchor
        for i in range(first, anchor + 1):
            while j < side.end[i]:
                j += 1
                weight = fetch(buffer, _bin(j, n, mirrored), side.power)
                at = side.offset[s] + j - anchor - 1
                beyond = plus(beyond, times(weight, side.far_weight, side.far_power, at))
            reached = plus(fetch(buffer, 2 * n + i, side.power), times(beyond, side.near_weight, side.near_power, i))
            place = n + _bin(i, n, mirrored)
            stow(buffer, place, plus(fetch(buffer, place, side.power), reached))
        first = anchor + 1


@njit(**INLINE)
def _moments(side, n, mirrored, buffer):
    """As `_windows`, every weight multiplied by the way that it comes."""
    first = 0
    for s in range(side.anchor.size):
        anchor = side.anchor[s]
        before = moment = nothing(side.power)
        for i in range(anchor, first - 1, -1):
            stow(buffer, 2 * n + i, before)
            stow(buffer, 3 * n + i, moment)
            if i > first:
                before = plus(before, fetch(buffer, _bin(i, n, mirrored), side.power))
                moment = plus(moment, stretched(before, side.length[i - 1]))
                before = times(before, side.weight, side.power, i - 1)
                moment = times(moment, side.weight, side.power, i - 1)
        beyond = outer = nothing(side.power)
        j = anchor
        for i in range(first, anchor + 1):
            while j < side.end[i]:
                j += 1
                weight = fetch(buffer, _bin(j, n, mirrored), side.power)
                at = side.offset[s] + j - anchor - 1
                weight = times(weight, side.far_weight, side.far_power, at)
                beyond = plus(beyond, weight)
                outer = plus(outer, stretched(weight, side.far[at]))
            further = times(plus(outer, stretched(beyond, side.near[i])), side.near_weight, side.near_power, i)
            place = n + _bin(i, n, mirrored)
            reached = plus(fetch(buffer, 3 * n + i, side.power), further)
            stow(buffer, place, plus(fetch(buffer, place, side.power), reached))
        first = anchor + 1


def sweep_ring(space, n, buffer):
    """Both windows of every bin. Places: n.. what comes to each bin from elsewhere, 2n.. and 3n.. scratch."""
    for i in range(n):
        stow(buffer, n + i, nothing(space.power))
    _windows(space.right, n, False, buffer)
    _windows(space.left, n, True, buffer)


def total_ring(space, n, buffer, i):
    """The bin's own weight, and what comes from elsewhere."""
    return plus(fetch(buffer, i, space.power), fetch(buffer, n + i, space.power))


def transport_cost_ring(space, n, buffer, other, scale):
    """Each weight here meets the sum of distance times weight there."""
    for i in range(n):
        stow(other, n + i, nothing(space.power))
    _moments(space.right, n, False, other)
    _moments(space.left, n, True, other)
    cost = lanes(0.0)
    for i in range(n):
        cost += product(fetch(buffer, i, space.power), fetch(other, n + i, space.power), scale)
    return cost


register(Ring, sweep_ring, total_ring, transport_cost_ring)
