"""The ring: a chain whose ends meet, so that the flow is free up to one circulation.

The flow over edge e is the prefix sum through bin e less a circulation c, the same for all edges, that minimises the
value: the weighted median of the prefix sums at rho = 1, their weighted mean at rho = 2, otherwise the root of the
sum of slopes. At that c the slopes sum to 0, so the potential closes around the ring.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ...formulas.edge import cost, sign, slope
from ..layouts import padded
from ..simd.lanes import INLINE, any_lane, lanes, load, maximum, minimum, select, store
from . import sweeps

EPSILON = np.finfo(np.float64).eps


class Ring(NamedTuple):
    """The length of the edge after each bin, their sum, and the slots of scratch, see `fastemd.cpu.exact.chain`."""

    length: np.ndarray
    total_length: float
    max_distance: float
    bin_slot: np.ndarray
    edge_slot: np.ndarray
    root_slot: int
    slots: int


def prepare(arrays, n):
    """Return the layout, padded with edges of length 0 to whole blocks of eight; they do not affect a circulation."""
    length = padded(arrays.length)
    total, slots = float(length.sum()), np.arange(len(length))
    return Ring(length, total, total, slots, slots, 0, len(length))


@njit(**INLINE)
def _store_prefix(prefix, difference, i, space, rho, scratch):
    prefix += difference
    store(scratch, i, prefix)
    return prefix


@njit(**INLINE)
def prefixes(inputs, n, scratch):
    """Leave the prefix sums in scratch; return the last, and where an input may be negative."""
    return sweeps.scan(inputs, n, _store_prefix, lanes(0.0), None, None, scratch)


@njit(**INLINE)
def extremes(scratch, n):
    """The smallest and the largest prefix sum; NaN stays NaN."""
    low = high = load(scratch, 0)
    for e in range(1, n):
        prefix = load(scratch, e)
        low = select(prefix > low, low, prefix)
        high = select(prefix < high, high, prefix)
    return low, high


@njit(**INLINE)
def median(scratch, space, n):
    """The smallest prefix sum that, with those below it, holds half of the total length.

    It lies between `low` and `high`, which are prefix sums. Each pass adds up the lengths up to a pivot and moves
    one end past it. The pivot is where the weight would reach half if it grew evenly, and every third time the middle.
    The threshold is half less the rounding error of a sum of n lengths, so that an even split is seen as one.
    """
    low, high = extremes(scratch, n)
    half = space.total_length * (0.5 - n * EPSILON)
    under, upto = lanes(0.0), lanes(space.total_length)
    count = 0
    while any_lane(low < high):
        count += 1
        fraction = lanes(0.5) if count % 3 == 0 else (half - under) / (upto - under)
        pivot = low + (high - low) * fraction
        pivot = select((low <= pivot) & (pivot < high), pivot, low)
        weight = lanes(0.0)
        below, above = low, high
        for e in range(n):
            prefix = load(scratch, e)
            inside = prefix <= pivot
            weight += select(inside, space.length[e], 0.0)
            below = maximum(below, select(inside, prefix, low))
            above = minimum(above, select(inside, high, prefix))
        reached = half <= weight
        high, upto = select(reached, below, high), select(reached, weight, upto)
        low, under = select(reached, low, above), select(reached, under, weight)
    return high


@njit(**INLINE)
def mean(scratch, space, n):
    """The mean of the prefix sums, weighted by length."""
    moment = lanes(0.0)
    for e in range(n):
        moment += load(scratch, e) * space.length[e]
    return moment / space.total_length


@njit(**INLINE)
def slopes(scratch, space, rho, n, c):
    """The sum of the slopes at circulation c, which falls as c grows."""
    total = lanes(0.0)
    for e in range(n):
        total += slope(load(scratch, e) - c, space.length[e], rho)
    return total


@njit(**INLINE)
def root(scratch, space, rho, n):
    """Return the c closest to the zero of the sum of slopes, the other end of the bracket, and the share of its slopes.

    By Chandrupatla's method: inverse quadratic steps inside a bracket, or halving. Near rho = 1 slopes are so steep at
    phi = 0 that no float64 c makes them sum to 0; (1 - share) of those at c and share of those at the other end do.

    Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
    using derivatives, Advances in Engineering Software 28 (1997) 145-149.
    """
    x2, x1 = extremes(scratch, n)
    f1, f2 = slopes(scratch, space, rho, n, x1), slopes(scratch, space, rho, n, x2)
    x3, f3 = x2, f2
    tolerance = EPSILON * (abs(x1) + abs(x2))
    step = lanes(0.5)
    active = tolerance < abs(x2 - x1)
    while any_lane(active):
        x = select(active, x1 + step * (x2 - x1), x1)
        f = slopes(scratch, space, rho, n, x)
        same = sign(f) == sign(f1)
        x3, f3 = select(same, x1, x2), select(same, f1, f2)
        x2, f2 = select(same, x2, x1), select(same, f2, f1)
        x1, f1 = x, f
        width = abs(x2 - x1)
        active &= (tolerance < width) & (abs(f1) > 0.0) & (abs(f2) > 0.0)
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        curve = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
        step = select((phi * phi < xi) & ((1.0 - phi) * (1.0 - phi) < 1.0 - xi), curve, 0.5)
        least = 0.5 * tolerance / width
        step = select(step < least, least, select(1.0 - least < step, 1.0 - least, step))
    first = abs(f1) < abs(f2)
    near, far = select(first, f1, f2), select(first, f2, f1)
    share = select(abs(near - far) > 0.0, near / (near - far), 0.0)
    return select(first, x1, x2), select(first, x2, x1), share


@njit(**INLINE)
def circulation(scratch, space, rho, n):
    """The circulation c, 0 where no edge has a length; and, as `root`, another c and the share of its slopes."""
    c = other = share = lanes(0.0)
    if space.total_length > 0.0:
        if rho == 1:
            c = other = median(scratch, space, n)
        elif rho == 2:
            c = other = mean(scratch, space, n)
        else:
            c, other, share = root(scratch, space, rho, n)
    return c, other, share


@njit(**INLINE)
def idle_slope(scratch, space, n, c):
    """At rho = 1, the slope per length of the edges without flow that makes all slopes sum to 0."""
    missing = idle = lanes(0.0)
    for e in range(n):
        phi = load(scratch, e) - c
        missing -= slope(phi, space.length[e], 1)
        idle += select(phi == 0.0, space.length[e], 0.0)
    return select(idle > 0.0, missing / idle, 0.0)


def value(inputs, space, rho, n, scratch):
    """The prefix sums less their circulation are the flow; each edge adds its cost."""
    balance, negative = prefixes(inputs, n, scratch)
    c, _, _ = circulation(scratch, space, rho, n)
    total = lanes(0.0)
    for e in range(n):
        total += cost(load(scratch, e) - c, space.length[e], rho)
    return total, balance, negative


def flow(inputs, space, rho, n, scratch):
    """As `value`; and the flow stays in scratch."""
    balance, negative = prefixes(inputs, n, scratch)
    c, _, _ = circulation(scratch, space, rho, n)
    total = lanes(0.0)
    for e in range(n):
        phi = load(scratch, e) - c
        store(scratch, e, phi)
        total += cost(phi, space.length[e], rho)
    return total, balance, negative


def potential(inputs, space, rho, n, scratch):
    """As `value`; and f falls by the slope of each edge on the way around, back to where it began."""
    balance, negative = prefixes(inputs, n, scratch)
    c, other, share = circulation(scratch, space, rho, n)
    idle = idle_slope(scratch, space, n, c) if rho == 1 else lanes(0.0)
    total = f = sum_f = lanes(0.0)
    for e in range(n):
        prefix, length = load(scratch, e), space.length[e]
        store(scratch, e, f)
        sum_f += f
        total += cost(prefix - c, length, rho)
        if rho == 1:
            f -= select(prefix == c, idle * length, slope(prefix - c, length, rho))
        elif rho == 2:
            f -= slope(prefix - c, length, rho)
        else:
            f -= (1.0 - share) * slope(prefix - c, length, rho) + share * slope(prefix - other, length, rho)
    return total, balance, negative, sum_f / n


sweeps.register(Ring, value=value, potential=potential, flow=flow)
