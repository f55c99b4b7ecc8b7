"""The Gibbs kernel of a chain: one sweep from either end."""

from typing import NamedTuple

import numpy as np

from ..simd.extended_range import fetch, nothing, plus, product, stow, times, weights
from ..simd.lanes import lanes
from .sweeps import register


class Chain(NamedTuple):
    """Length and weight of the edge after each bin, and how many places of a buffer a sweep needs."""

    length: np.ndarray
    weight: np.ndarray
    power: np.ndarray
    places: int


def prepare(space, reg, extended):
    """Return what the sweep of a chain reads; an edge is added after the last bin."""
    length = np.append(space.lengths, 0.0)
    return Chain(length, *weights(length / reg, extended), 3 * len(length))


def sweep_chain(space, n, buffer):
    """Leave in places n..2n-1 what comes from the left, the bin's own included, and in 2n..3n-1 what from the right.

    Both ways in one loop: each waits for its last sum, and they do not wait for each other.
    """
    left, right = fetch(buffer, 0, space.power), fetch(buffer, n - 1, space.power)
    stow(buffer, n, left)
    stow(buffer, 3 * n - 1, nothing(space.power))
    for i in range(1, n):
        left = plus(fetch(buffer, i, space.power), times(left, space.weight, space.power, i - 1))
        stow(buffer, n + i, left)
        j = n - 1 - i
        arriving = times(right, space.weight, space.power, j)
        stow(buffer, 2 * n + j, arriving)
        right = plus(fetch(buffer, j, space.power), arriving)


def total_chain(space, n, buffer, i):
    """What comes from either side."""
    return plus(fetch(buffer, n + i, space.power), fetch(buffer, 2 * n + i, space.power))


def transport_cost_chain(space, n, buffer, other, scale):
    """Each edge is crossed by what stands left of it here and right of it there, and the other way round."""
    cost = lanes(0.0)
    for e in range(n - 1):
        there = product(fetch(buffer, n + e, space.power), fetch(other, 2 * n + e, space.power), scale)
        back = product(fetch(other, n + e, space.power), fetch(buffer, 2 * n + e, space.power), scale)
        cost += space.length[e] * (there + back)
    return cost


register(Chain, sweep_chain, total_chain, transport_cost_chain)
