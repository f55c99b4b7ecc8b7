"""The ring: a chain whose ends meet, so that the flow is free up to one circulation.

The flow over edge e is the prefix sum through bin e less a circulation c, the same for all edges, that makes the value
smallest: the weighted median of the prefix sums at rho = 1, their weighted mean at rho = 2, otherwise the root of the
sum of slopes. At that c the slopes sum to 0, so the potential closes around the ring.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ...formulas.edge import cost, sign, slope
from ..simd.lanes import INLINE, WIDTH, any_lane, get, lanes, maximum, minimum, nowhere, put, select
from . import sweeps

EPSILON = np.finfo(np.float64).eps


class Ring(NamedTuple):
    """The edge after each bin (`length`), the way around (`reach`), and where the buffer holds what."""

    length: np.ndarray
    reach: float
    place: np.ndarray
    edge: np.ndarray
    root: int
    slots: int


def prepare(arrays, n):
    """Pad with edges of length zero to whole blocks of eight columns; they weigh nothing in any circulation."""
    slots = -(-n // WIDTH) * WIDTH
    length = np.zeros(slots)
    length[:n] = arrays.length
    return Ring(length, float(length.sum()), np.arange(slots), np.arange(slots), 0, slots)


@njit(**INLINE)
def prefixes(source, n, buffer):
    """Leave the prefix sums in the buffer."""
    prefix = lanes(0.0)
    negative = nowhere()
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            prefix += difference
            put(buffer, j + k, prefix)
    return prefix, negative


@njit(**INLINE)
def extremes(buffer, n):
    """The smallest and the largest prefix sum; NaN stays NaN."""
    low = high = get(buffer, 0)
    for e in range(1, n):
        prefix = get(buffer, e)
        low = select(prefix > low, low, prefix)
        high = select(prefix < high, high, prefix)
    return low, high


@njit(**INLINE)
def median(buffer, space, n):
    """The smallest prefix sum that, with those below it, holds half of the total length.

    It lies between `low` and `high`, always prefix sums themselves. Each pass weighs what lies up to a pivot and moves
    one end past it; the pivot is where the weight would reach half if it grew evenly, and every third time the middle.
    What rounding may take from a sum of n lengths is allowed for, so that an even split is seen as one.
    """
    low, high = extremes(buffer, n)
    half = space.reach * (0.5 - n * EPSILON)
    under, upto = lanes(0.0), lanes(space.reach)
    count = 0
    while any_lane(low < high):
        count += 1
        fraction = lanes(0.5) if count % 3 == 0 else (half - under) / (upto - under)
        pivot = low + (high - low) * fraction
        pivot = select((low <= pivot) & (pivot < high), pivot, low)
        weight = lanes(0.0)
        below, above = low, high
        for e in range(n):
            prefix = get(buffer, e)
            inside = prefix <= pivot
            weight += select(inside, space.length[e], 0.0)
            below = maximum(below, select(inside, prefix, low))
            above = minimum(above, select(inside, high, prefix))
        reached = half <= weight
        high, upto = select(reached, below, high), select(reached, weight, upto)
        low, under = select(reached, low, above), select(reached, under, weight)
    return high


@njit(**INLINE)
def mean(buffer, space, n):
    """The mean of the prefix sums, weighted by length."""
    moment = lanes(0.0)
    for e in range(n):
        moment += get(buffer, e) * space.length[e]
    return moment / space.reach


@njit(**INLINE)
def slopes(buffer, space, rho, n, c):
    """The sum of the slopes at circulation c, which falls as c grows."""
    total = lanes(0.0)
    for e in range(n):
        total += slope(get(buffer, e) - c, space.length[e], rho)
    return total


@njit(**INLINE)
def root(buffer, space, rho, n):
    """Where the sum of slopes is 0: the closest c found, the end beyond the zero, and the share of its slopes.

    By Chandrupatla's method: inverse quadratic steps inside a bracket, or halving. Near rho = 1 slopes are so steep at
    phi = 0 that no float64 c makes them sum to 0; (1 - share) of those at c and share of those at the other end do.

    Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
    using derivatives, Advances in Engineering Software 28 (1997) 145-149.
    """
    x2, x1 = extremes(buffer, n)
    f1, f2 = slopes(buffer, space, rho, n, x1), slopes(buffer, space, rho, n, x2)
    x3, f3 = x2, f2
    enough = EPSILON * (abs(x1) + abs(x2))
    step = lanes(0.5)
    undone = enough < abs(x2 - x1)
    while any_lane(undone):
        x = select(undone, x1 + step * (x2 - x1), x1)
        f = slopes(buffer, space, rho, n, x)
        same = sign(f) == sign(f1)
        x3, f3 = select(same, x1, x2), select(same, f1, f2)
        x2, f2 = select(same, x2, x1), select(same, f2, f1)
        x1, f1 = x, f
        width = abs(x2 - x1)
        undone &= (enough < width) & (abs(f1) > 0.0) & (abs(f2) > 0.0)
        xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
        curve = f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
        step = select((phi * phi < xi) & ((1.0 - phi) * (1.0 - phi) < 1.0 - xi), curve, 0.5)
        least = 0.5 * enough / width
        step = select(step < least, least, select(1.0 - least < step, 1.0 - least, step))
    first = abs(f1) < abs(f2)
    near, far = select(first, f1, f2), select(first, f2, f1)
    share = select(abs(near - far) > 0.0, near / (near - far), 0.0)
    return select(first, x1, x2), select(first, x2, x1), share


@njit(**INLINE)
def circulation(buffer, space, rho, n):
    """The circulation c, 0 where no edge has a length; and, as `root`, another c and the share of its slopes."""
    c = other = share = lanes(0.0)
    if space.reach > 0.0:
        if rho == 1:
            c = other = median(buffer, space, n)
        elif rho == 2:
            c = other = mean(buffer, space, n)
        else:
            c, other, share = root(buffer, space, rho, n)
    return c, other, share


@njit(**INLINE)
def idle_slope(buffer, space, n, c):
    """At rho = 1, the slope per length of the edges without flow that makes all slopes sum to 0."""
    missing = idle = lanes(0.0)
    for e in range(n):
        phi = get(buffer, e) - c
        missing -= slope(phi, space.length[e], 1)
        idle += select(phi == 0.0, space.length[e], 0.0)
    return select(idle > 0.0, missing / idle, 0.0)


def value(source, space, rho, n, buffer):
    """The prefix sums less their circulation are the flow; each edge adds its cost."""
    balance, negative = prefixes(source, n, buffer)
    c, _, _ = circulation(buffer, space, rho, n)
    total = lanes(0.0)
    for e in range(n):
        total += cost(get(buffer, e) - c, space.length[e], rho)
    return total, (balance, negative)


def flow(source, space, rho, n, buffer):
    """As `value`; and the flow stays in the buffer."""
    balance, negative = prefixes(source, n, buffer)
    c, _, _ = circulation(buffer, space, rho, n)
    total = lanes(0.0)
    for e in range(n):
        phi = get(buffer, e) - c
        put(buffer, e, phi)
        total += cost(phi, space.length[e], rho)
    return total, (balance, negative)


def potential(source, space, rho, n, buffer):
    """As `value`; and f falls by the slope of each edge on the way around, back to where it began."""
    balance, negative = prefixes(source, n, buffer)
    c, other, share = circulation(buffer, space, rho, n)
    idle = idle_slope(buffer, space, n, c) if rho == 1 else lanes(0.0)
    total = f = together = lanes(0.0)
    for e in range(n):
        prefix, length = get(buffer, e), space.length[e]
        put(buffer, e, f)
        together += f
        total += cost(prefix - c, length, rho)
        if rho == 1:
            f -= select(prefix == c, idle * length, slope(prefix - c, length, rho))
        elif rho == 2:
            f -= slope(prefix - c, length, rho)
        else:
            f -= (1.0 - share) * slope(prefix - c, length, rho) + share * slope(prefix - other, length, rho)
    return total, (balance, negative), together / n


sweeps.furnish(Ring, value=value, potential=potential, flow=flow)
