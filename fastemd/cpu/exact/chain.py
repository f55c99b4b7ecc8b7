"""The chain: one sweep from the first bin to the last.

The flow over edge e is the prefix sum of a - b through bin e. The root is the last bin, so the potential of a bin is
the sum of the slopes of the edges to its right.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ...formulas.edge import cost, slope
from ..layouts import padded
from ..simd.lanes import INLINE, lanes, store
from . import sweeps


class Chain(NamedTuple):
    """The length of the edge after each bin, and the slots of scratch.

    No two bins are further apart than `max_distance`. `bin_slot` and `edge_slot` give the slot of each bin's potential
    and of each edge's flow, `root_slot` that of the root's potential. There are `slots` in all.
    """

    length: np.ndarray
    max_distance: float
    bin_slot: np.ndarray
    edge_slot: np.ndarray
    root_slot: int
    slots: int


def prepare(arrays, n):
    """Return the layout, padded with edges of length 0 to whole blocks of eight bins, so no sweep has a tail loop."""
    length = padded(np.append(arrays.length, 0.0))
    slots = np.arange(len(length))
    return Chain(length, float(length.sum()), slots, slots, n - 1, len(length))


@njit(**INLINE)
def _add_cost(state, difference, i, space, rho, scratch):
    phi, total = state
    phi += difference
    return phi, total + cost(phi, space.length[i], rho)


@njit(**INLINE)
def _store_flow(state, difference, i, space, rho, scratch):
    phi, total = _add_cost(state, difference, i, space, rho, scratch)
    store(scratch, i, phi)
    return phi, total


@njit(**INLINE)
def _store_potential(state, difference, i, space, rho, scratch):
    phi, total, f, sum_f = state
    store(scratch, i, f)
    sum_f += f
    phi += difference
    total += cost(phi, space.length[i], rho)
    f -= slope(phi, space.length[i], rho)
    return phi, total, f, sum_f


def value(inputs, space, rho, n, scratch):
    """Phi is the prefix sum; each edge adds its cost."""
    start = lanes(0.0), lanes(0.0)
    (phi, total), negative = sweeps.scan(inputs, n, _add_cost, start, space, rho, scratch)
    return total, phi, negative


def flow(inputs, space, rho, n, scratch):
    """As `value`; and the prefix sums stay in scratch."""
    start = lanes(0.0), lanes(0.0)
    (phi, total), negative = sweeps.scan(inputs, n, _store_flow, start, space, rho, scratch)
    return total, phi, negative


def potential(inputs, space, rho, n, scratch):
    """As `value`; and f falls by the slope of each edge on the way from the first bin."""
    start = lanes(0.0), lanes(0.0), lanes(0.0), lanes(0.0)
    (phi, total, f, sum_f), negative = sweeps.scan(inputs, n, _store_potential, start, space, rho, scratch)
    padding = (space.slots - n) * f
    return total, phi, negative, (sum_f - padding) / n


sweeps.register(Chain, value=value, potential=potential, flow=flow)
