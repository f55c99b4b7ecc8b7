"""The kernel of samples on a line or a circle: merged positions, the flow between them, the value and the gradients.

Between two neighbouring positions the flow is the weight of x so far less that of y, on a circle less a circulation.
"""

import numpy as np
from numba import njit

from ...formulas.edge import cost, slope
from ..simd import lanes  # noqa: F401  which lets numba compile the formulas of an edge

BISECTIONS = 200  # of a circulation's bracket: more than float64 has digits


@njit(nogil=True)
def merge_events(x, y, wx, wy, order_x, order_y, places, flows, sources):
    """Write the merged positions, the flow to the right of each, and the sample there: i of x, or len(x) + j of y."""
    n, k = x.size, y.size
    i = j = 0
    flow = 0.0
    for e in range(n + k):
        if j >= k or (i < n and x[order_x[i]] <= y[order_y[j]]):
            at = order_x[i]
            places[e], sources[e] = x[at], at
            flow += wx[at]
            i += 1
        else:
            at = order_y[j]
            places[e], sources[e] = y[at], n + at
            flow -= wy[at]
            j += 1
        flows[e] = flow


@njit(nogil=True)
def circulation(flows, gaps, rho):
    """Return what every flow around a circle is less: the lower weighted median, the mean, or the root between."""
    around = gaps.sum()
    if not around > 0.0:
        return 0.0
    if rho == 1.0:
        order = np.argsort(flows)
        below = 0.0
        for at in order:
            below += gaps[at]
            if below >= 0.5 * around:
                return flows[at]
        return flows[order[-1]]
    if rho == 2.0:
        return (flows * gaps).sum() / around
    low, high = flows.min(), flows.max()
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        total = 0.0
        for e in range(flows.size):
            total += slope(flows[e] - middle, gaps[e], rho)
        if total > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(nogil=True)
def weight_gradients(flows, gaps, slack, rho, circular, sources, n, by_wx, by_wy):
    """Write the potential of each sample of x, and its negative of each of y; that of the last position is 0."""
    total = idle = 0.0
    if circular and rho == 1.0:
        # Slopes around a circle sum to 0. Where nothing flows they are free, and share what is missing.
        for e in range(flows.size):
            if abs(flows[e]) <= slack:
                idle += gaps[e]
            else:
                total -= slope(flows[e], gaps[e], rho)
    share = total / idle if idle > 0.0 else 0.0
    potential = 0.0
    for e in range(flows.size - 1, -1, -1):
        if e < flows.size - 1:
            still = abs(flows[e]) <= slack and rho == 1.0
            potential += share * gaps[e] if still else slope(flows[e], gaps[e], rho)
        if sources[e] < n:
            by_wx[sources[e]] = potential
        else:
            by_wy[sources[e] - n] = -potential


@njit(nogil=True)
def place_gradients(places, flows, before, rho, sources, wx, wy, by_x, by_y):
    """Write the gradient with respect to each position; `before` is the flow left of the first.

    Samples at one position move together: each has the share of its weight in what that costs. Where the two
    directions differ, as where samples of x and of y meet, the gradient is the mean of both.
    """
    n = wx.size
    first = 0
    while first < places.size:
        last = first
        weight_x = weight_y = 0.0
        while True:
            if sources[last] < n:
                weight_x += wx[sources[last]]
            else:
                weight_y += wy[sources[last] - n]
            if last + 1 == places.size or places[last + 1] != places[first]:
                break
            last += 1
        after = flows[last]
        onward, back = cost(after - weight_x, 1.0, rho) - cost(after, 1.0, rho), cost(before + weight_x, 1.0, rho)
        of_x = 0.5 * (onward + cost(before, 1.0, rho) - back)
        onward, back = cost(after + weight_y, 1.0, rho) - cost(after, 1.0, rho), cost(before - weight_y, 1.0, rho)
        of_y = 0.5 * (onward + cost(before, 1.0, rho) - back)
        for e in range(first, last + 1):
            if sources[e] < n:
                by_x[sources[e]] = of_x * wx[sources[e]] / weight_x if weight_x > 0.0 else 0.0
            else:
                at = sources[e] - n
                by_y[at] = of_y * wy[at] / weight_y if weight_y > 0.0 else 0.0
        before = after
        first = last + 1


@njit(nogil=True)
def samples(x, y, wx, wy, order_x, order_y, rho, period, gradients, values, by_x, by_y, by_wx, by_wy, first, last):
    """Write the values (rows,) of rows first..last, and with `gradients` those by positions (rows, n or k) and weights.

    A `period` of 0 means a line; else positions are from 0 to the period.
    """
    n, k = x.shape[1], y.shape[1]
    size = n + k
    places, flows, gaps, sources = np.empty(size), np.empty(size), np.empty(size), np.empty(size, np.intp)
    for row in range(first, last):
        merge_events(x[row], y[row], wx[row], wy[row], order_x[row], order_y[row], places, flows, sources)
        gaps[:-1] = places[1:] - places[:-1]
        gaps[size - 1] = period - places[size - 1] + places[0] if period > 0.0 else 0.0
        before = 0.0
        if period > 0.0:
            shift = circulation(flows, gaps, rho)
            flows -= shift
            before = flows[size - 1]
        total = 0.0
        for e in range(size):
            total += cost(flows[e], gaps[e], rho)
        values[row] = total
        if gradients:
            slack = np.finfo(np.float64).eps * size * wx[row].sum()
            weight_gradients(flows, gaps, slack, rho, period > 0.0, sources, n, by_wx[row], by_wy[row])
            place_gradients(places, flows, before, rho, sources, wx[row], wy[row], by_x[row], by_y[row])
