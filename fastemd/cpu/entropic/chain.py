"""The Gibbs kernel of a chain: one sweep from either end."""

from typing import NamedTuple

import numpy as np

from ..simd.extended_range import add, load_number, product, store_number, times_weight, weights, zero
from ..simd.lanes import lanes
from .sweeps import register


class Chain(NamedTuple):
    """The edge after each bin, its weight exp(-length / reg), and how many entries of scratch a sweep needs."""

    length: np.ndarray
    weight: np.ndarray
    exponent: np.ndarray
    entries: int


def prepare(space, reg, extended):
    """Return the layout; an edge of length 0 is added after the last bin."""
    length = np.append(space.lengths, 0.0)
    return Chain(length, *weights(length / reg, extended), 3 * len(length))


def sweep(space, n, scratch):
    """Leave the sums from the left in entries n..2n-1, own weights included, and those from the right in 2n..3n-1.

    Both directions share a loop, since each depends on its own last sum only.
    """
    left, right = load_number(scratch, 0, space.exponent), load_number(scratch, n - 1, space.exponent)
    store_number(scratch, n, left)
    store_number(scratch, 3 * n - 1, zero(space.exponent))
    for i in range(1, n):
        left = add(load_number(scratch, i, space.exponent), times_weight(left, space.weight, space.exponent, i - 1))
        store_number(scratch, n + i, left)
        j = n - 1 - i
        arriving = times_weight(right, space.weight, space.exponent, j)
        store_number(scratch, 2 * n + j, arriving)
        right = add(load_number(scratch, j, space.exponent), arriving)


def total(space, n, scratch, i):
    """The sum from the left, and that from the right."""
    return add(load_number(scratch, n + i, space.exponent), load_number(scratch, 2 * n + i, space.exponent))


def transport_cost(space, n, scratch, other, scale):
    """Over each edge goes mass from its left in scratch to its right in other, and vice versa."""
    cost = lanes(0.0)
    for e in range(n - 1):
        forth = product(
            load_number(scratch, n + e, space.exponent), load_number(other, 2 * n + e, space.exponent), scale
        )
        back = product(
            load_number(other, n + e, space.exponent), load_number(scratch, 2 * n + e, space.exponent), scale
        )
        cost += space.length[e] * (forth + back)
    return cost


register(Chain, sweep=sweep, total=total, transport_cost=transport_cost)
