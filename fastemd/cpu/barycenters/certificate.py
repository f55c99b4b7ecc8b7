"""Kernels of the proof that a histogram is a barycentre on a tree: slopes of its edges, and the bound they make."""

import numpy as np
from numba import njit


@njit(nogil=True)
def slope_ranges(flows, positions, weights, length, slack, low, high):
    """Write the least and the largest slope of each edge's cost near its flow, which is known up to a slack."""
    for k in range(flows.size):
        row = positions[k]
        before = np.searchsorted(row, flows[k] - slack)
        after = np.searchsorted(row, flows[k] + slack, side="right")
        low[k] = length[k] * (2.0 * (weights[k, before - 1] if before else 0.0) - 1.0)
        high[k] = length[k] * (2.0 * (weights[k, after - 1] if after else 0.0) - 1.0)


@njit(nogil=True)
def choose_slopes(up, bin_at, flows, masses, slack, length, low, high, slopes):
    """Write a slope of each edge (nodes,), within its range, such that the bins that hold mass cost the same to reach.

    Bins without mass may cost more. From the leaves to the root, `least` and `most` are what a subtree's mass may be
    worth to the node above; from the root down, each node takes one of those values.
    """
    nodes = up.size
    least, most = np.full(nodes, -np.inf), np.full(nodes, np.inf)
    for k in range(nodes - 1, -1, -1):
        if bin_at[k] >= 0:
            most[k] = min(most[k], 0.0)
            if masses[bin_at[k]] > slack:
                least[k] = max(least[k], 0.0)
        if least[k] > most[k]:  # by rounding only
            least[k] = most[k] = 0.5 * (least[k] + most[k])
        if k > 0:
            above = up[k]
            most[above] = min(most[above], most[k] + high[k])
            if flows[k] > slack:
                least[above] = max(least[above], least[k] + low[k])
    worth = np.zeros(nodes)
    if np.isfinite(least[0]) or np.isfinite(most[0]):
        worth[0] = least[0] if not np.isfinite(most[0]) else most[0]
    slopes[0] = 0.0
    for k in range(1, nodes):
        above = worth[up[k]]
        if flows[k] > slack:
            wanted = min(max(above - 0.5 * (low[k] + high[k]), least[k]), most[k])
            slopes[k] = min(max(above - wanted, low[k]), high[k])
        else:
            slopes[k] = high[k]
        slopes[k] = min(max(slopes[k], -length[k]), length[k])
        worth[k] = above - slopes[k]


@njit(nogil=True)
def bounds(flows, slopes, positions, weights, length):
    """Return the cost of the flows, and the sum of what the edges' costs are at least above their slopes."""
    value, conjugate = 0.0, 0.0
    count = positions.shape[1]
    for k in range(1, flows.size):
        if length[k] == 0.0:
            continue
        share = 0.5 * (slopes[k] / length[k] + 1.0)
        quantile = min(np.searchsorted(weights[k], share), count - 1)
        at = positions[k, quantile]
        here, there, below = 0.0, 0.0, 0.0
        for i in range(count):
            weight = weights[k, i] - below
            below = weights[k, i]
            here += weight * abs(flows[k] - positions[k, i])
            there += weight * abs(at - positions[k, i])
        value += length[k] * here
        conjugate += length[k] * there - slopes[k] * at
    return value, conjugate


@njit(nogil=True)
def path_sums(up, slopes, sums):
    """Write the sum of the slopes between each node and the root."""
    sums[0] = 0.0
    for k in range(1, up.size):
        sums[k] = sums[up[k]] + slopes[k]
