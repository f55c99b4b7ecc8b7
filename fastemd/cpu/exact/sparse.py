"""The kernels of `emd` of sparse rows: a pair costs what its nonzeros cost, on a tree each times its depth.

Recurring arguments: `starts`, `bins`, `numbers`, a table of rows as scipy's csr holds it, columns ascending; `scale`, a
factor for each row; `step`, 1, or 0 for one row that is paired with all; `values` (rows,), to be written; `first`,
`last`, the range of rows.
"""

import numpy as np
from numba import njit, types

from ... import threads
from ...formulas.edge import cost, slope
from ..compilation import array, entry

HALVINGS = 200  # of the bracket around a circulation: more than a float64 has digits


@njit(nogil=True)
def differences(starts, bins, numbers, scale, row, other_starts, other_bins, others, other_scale, other, found, sums):
    """Merge two rows: the bins where either has mass, ascending, and the differences there; return how many."""
    i, end = starts[row], starts[row + 1]
    j, other_end = other_starts[other], other_starts[other + 1]
    count = 0
    while i < end or j < other_end:
        at = bins[i] if i < end else other_bins[j]
        if j < other_end:
            at = min(at, other_bins[j])
        difference = 0.0
        if i < end and bins[i] == at:
            difference += numbers[i] * scale[row]
            i += 1
        if j < other_end and other_bins[j] == at:
            difference -= others[j] * other_scale[other]
            j += 1
        found[count], sums[count] = at, difference
        count += 1
    return count


@njit(nogil=True)
def chain(a, b, steps, position, rho, most, values, first, last):
    """EMD_rho of each pair of rows on a chain of bins at `position`."""
    found, sums = np.empty(most, np.int64), np.empty(most)
    for row in range(first, last):
        count = differences(*a, row * steps[0], *b, row * steps[1], found, sums)
        total = phi = 0.0
        for k in range(count):
            phi += sums[k]
            beyond = position[found[k + 1]] if k + 1 < count else position[-1]
            total += cost(phi, beyond - position[found[k]], rho)
        values[row] = total


@njit(nogil=True)
def ring(a, b, steps, position, rho, most, values, first, last):
    """EMD_rho of each pair of rows on a ring; position[n] is the length of the whole."""
    found, sums, length = np.empty(most, np.int64), np.empty(most), np.empty(most)
    for row in range(first, last):
        count = differences(*a, row * steps[0], *b, row * steps[1], found, sums)
        phi = 0.0
        for k in range(count):
            phi += sums[k]
            sums[k] = phi
            beyond = position[found[k + 1]] if k + 1 < count else position[-1] + position[found[0]]
            length[k] = beyond - position[found[k]]
        shift = circulation(sums[:count], length[:count], rho)
        total = 0.0
        for k in range(count):
            total += cost(sums[k] - shift, length[k], rho)
        values[row] = total


@njit(nogil=True)
def circulation(prefix, length, rho):
    """What goes round the ring at the least cost."""
    if len(prefix) == 0:
        return 0.0
    if rho == 1.0:
        order = np.argsort(prefix)
        half, under, k = 0.5 * length.sum(), 0.0, 0
        while k + 1 < len(order) and under + length[order[k]] < half:
            under += length[order[k]]
            k += 1
        return prefix[order[k]]
    low, high = prefix.min(), prefix.max()
    for _ in range(HALVINGS):
        middle = low + 0.5 * (high - low)
        total = 0.0
        for k in range(len(prefix)):
            total += slope(prefix[k] - middle, length[k], rho)
        if total > 0.0:
            low = middle
        else:
            high = middle
    return low + 0.5 * (high - low)


@njit(nogil=True)
def tree(a, b, steps, up, length, place, rho, most, values, first, last):
    """EMD_rho of each pair of rows on a tree of nodes `up`, bin i being the node place[i]."""
    found, sums = np.empty(most, np.int64), np.empty(most)
    phi, met, nodes = np.zeros(len(up)), np.zeros(len(up), np.bool_), np.empty(len(up), np.int64)
    for row in range(first, last):
        count = differences(*a, row * steps[0], *b, row * steps[1], found, sums)
        many = 0
        for k in range(count):
            node = place[found[k]]
            while node > 0:
                if not met[node]:
                    met[node] = True
                    nodes[many] = node
                    many += 1
                phi[node] += sums[k]
                node = up[node]
        total = 0.0
        for k in range(many):
            node = nodes[k]
            total += cost(phi[node], length[node], rho)
            phi[node], met[node] = 0.0, False
        values[row] = total


KERNELS = {"chain": chain, "ring": ring, "tree": tree}


def solve(kind, a, b, steps, arrays, rho, values):
    """Write the values of all pairs of rows; `a` and `b` are starts, bins, numbers and scale."""
    rows = types.Tuple([array(x.dtype, 1, "C") for x in a])
    spread = [array(x.dtype, 1, "C") for x in arrays]
    most = sum(int(np.diff(x[0]).max(initial=0)) for x in (a, b))
    signature = (
        rows, rows, types.UniTuple(types.intp, 2), *spread, types.float64, types.intp, array(np.float64, 1, "C"),
        types.intp, types.intp,
    )  # fmt: skip
    kernel = entry(KERNELS[kind], signature)

    def work(first, last):
        kernel(a, b, steps, *arrays, rho, most, values, first, last)

    threads.share(work, len(values), 8, max(len(a[1]) + len(b[1]), len(values)) * threads.POWER)
