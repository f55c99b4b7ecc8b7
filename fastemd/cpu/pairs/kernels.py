"""The kernels of all pairs: tiles of dense rows, rows of sparse ones, and the nearest of a block.

Dense rows are packed for `micro_kernel`: `a` in groups of `ROWS` rows and `b` in panels, each column by column. float32
sums run over `CHUNK` columns at most and are then added up in float64, so their relative error stays below 1e-6.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from .micro_kernel import PANELS, ROWS, absolute_sums, square_sums

CHUNK = 128


def panel_of(a):
    """Return how many rows a panel has."""


@overload(panel_of)
def _panel_of(a):
    size = PANELS[a.dtype]
    return lambda a: size


def _tiles(sums):
    """Return the kernel that writes the distances of row groups first..last - 1 of a and all panels of b to `out`."""

    @njit(nogil=True)
    def tiles(a, b, columns, panels, out, first, last):
        width = panel_of(a)
        partial, total = np.empty(ROWS * width, a.dtype), np.empty(ROWS * width)
        for p in range(panels):
            for group in range(first, last):
                total[:] = 0.0
                for begin in range(0, columns, CHUNK):
                    end = min(begin + CHUNK, columns)
                    sums(a, group * columns * ROWS, b, p * columns * width, begin, end, partial)
                    for k in range(ROWS * width):
                        total[k] += partial[k]
                for r in range(ROWS):
                    for c in range(width):
                        out[group * ROWS + r, p * width + c] = total[r * width + c]

    return tiles


absolute_tiles, square_tiles = _tiles(absolute_sums), _tiles(square_sums)


@njit(nogil=True)
def power_tiles(a, b, columns, panels, rho, out, first, last):
    """As the other tiles, for the sums of |x - y|**rho."""
    width = panel_of(a)
    for p in range(panels):
        for row in range(first * ROWS, last * ROWS):
            group = row // ROWS
            for c in range(width):
                total = 0.0
                for k in range(columns):
                    x = a[(group * columns + k) * ROWS + row - group * ROWS]
                    y = b[(p * columns + k) * width + c]
                    total += abs(np.float64(x) - np.float64(y)) ** rho
                out[row, p * width + c] = total


def term(x, y, rho):
    """|x - y|**rho - x**rho - y**rho for x, y >= 0."""


@overload(term)
def _term(x, y, rho):
    if isinstance(rho, types.Literal) and rho.literal_value == 1:
        return lambda x, y, rho: -2.0 * min(x, y)
    if isinstance(rho, types.Literal) and rho.literal_value == 2:
        return lambda x, y, rho: -2.0 * x * y
    return lambda x, y, rho: abs(x - y) ** rho - x**rho - y**rho


@njit(nogil=True)
def sparse_rows(starts, columns, numbers, norms, heads, rows, entries, other_norms, rho, out, first, last):
    """Write the distances of sparse rows first..last - 1 from all rows of another table, given column by column.

    The distance of two rows is what each is away from 0, and a correction for each column that both have. So a row
    costs as much as its columns are long. Rows that are equal add up equal numbers in the same order, and are 0 apart.
    """
    for row in range(first, last):
        for j in range(len(other_norms)):
            out[row, j] = 0.0
        for place in range(starts[row], starts[row + 1]):
            column, x = columns[place], numbers[place]
            for entry in range(heads[column], heads[column + 1]):
                out[row, rows[entry]] += term(x, entries[entry], rho)
        for j in range(len(other_norms)):
            out[row, j] = max(norms[row] + other_norms[j] + out[row, j], 0.0)


@njit(nogil=True)
def _distance(a, i, b, j, rho, limit):
    """The distance of row i of a and row j of b, with the bits of a tile; anything above `limit` may end it early."""
    total = 0.0
    for begin in range(0, a.shape[1], CHUNK):
        partial = a.dtype.type(0.0)
        for k in range(begin, min(begin + CHUNK, a.shape[1])):
            difference = a[i, k] - b[j, k]
            partial += abs(difference) if rho == 1.0 else difference * difference
        total += partial
        if total > limit:
            break
    return total


@njit(nogil=True)
def embed(rows, scale, order, edges_first, edges_beyond, common, weight, out, first, last):
    """Write (flow - common) * weight of each column, of rows first..last - 1 times their scale; see `pairs.columns`."""
    sums = np.zeros(len(order) + 1)
    for row in range(first, last):
        total, factor = 0.0, scale[row] if len(scale) else 1.0
        for place in range(len(order)):
            total += rows[row, order[place]] * factor
            sums[place + 1] = total
        for e in range(len(weight)):
            out[row, e] = (sums[edges_beyond[e]] - sums[edges_first[e]] - common[e]) * weight[e]


@njit(nogil=True)
def _admitted(limit, size, rho):
    """The largest bound that a distance of `limit` can have: roots of both are off by `size` by rounding."""
    return ((limit ** (1.0 / rho) * 1.0001 + size) * 1.0002) ** rho


@njit(nogil=True)
def _insert(distance, j, found, index):
    """Insert row j into a list of the nearest, ascending by distance and then by index."""
    at = len(found) - 1
    if distance > found[at] or (distance == found[at] and j > index[at]):
        return
    while at > 0 and (found[at - 1] > distance or (found[at - 1] == distance and index[at - 1] > j)):
        found[at], index[at] = found[at - 1], index[at - 1]
        at -= 1
    found[at], index[at] = distance, j


BLOCK = 512  # bounds that are computed at a time
TRIED = 1024  # rows whose sums are the nearest: the distances of the best of them give a first limit


@njit(nogil=True)
def group_sums(rows, starts, shrink, sums, totals, sizes, first, last):
    """Write sums of groups of columns times `shrink`, of all columns, and of the absolute numbers of each row."""
    for row in range(first, last):
        total = size = 0.0
        for g in range(len(shrink)):
            part = 0.0
            for e in range(starts[g], starts[g + 1]):
                part += rows[row, e]
                size += abs(rows[row, e])
            sums[row, g] = part * shrink[g]
            total += part
        totals[row], sizes[row] = total, size


@njit(nogil=True)
def _bound(coarse_a, row, coarse_b, start, length, rho, bounds):
    """Write the distances of the sums of groups of columns of one row and of some others."""
    bounds[:length] = 0.0
    for g in range(coarse_b.shape[0]):
        x = coarse_a[row, g]
        if rho == 1.0:
            for t in range(length):
                bounds[t] += abs(x - coarse_b[g, start + t])
        else:
            for t in range(length):
                bounds[t] += (x - coarse_b[g, start + t]) * (x - coarse_b[g, start + t])


@njit(nogil=True)
def nearest(
    a, b, coarse_a, coarse_b, total_a, total_b, rows, size_a, size_b, rho, shrink, offset, found, index, first, last
):
    """Update the nearest rows of rows first..last - 1 of a by those of a block b that their lower bounds admit.

    `found` (rows, k) holds distances in ascending order, inf where there are none yet, and `index` whose they are; the
    block begins at row `offset`. The first bound is the difference of the sums of all numbers of the rows, times
    `shrink`: `total_b` is ascending, and `rows` says whose sums they are. The second is the distance of the sums of
    groups of numbers, `coarse_a` (rows, groups) and `coarse_b` (groups, rows of b in the order of their sums). Bounds
    are so up to rounding, which grows with the sums of the absolute numbers: `size_a` of each row, `size_b` at most.
    """
    k, count = found.shape[1], len(b)
    bounds = np.empty(BLOCK)
    near, where = np.empty(k), np.empty(k, np.int64)
    for row in range(first, last):
        own, names = found[row], index[row]
        middle = np.searchsorted(total_b, total_a[row])
        tried = min(max(TRIED, 2 * k), count)
        begin = min(max(middle - tried // 2, 0), count - tried)
        near[:], where[:] = np.inf, np.iinfo(np.int64).max
        for start in range(begin, begin + tried, BLOCK):
            length = min(BLOCK, begin + tried - start)
            _bound(coarse_a, row, coarse_b, start, length, rho, bounds)
            for t in range(length):
                _insert(bounds[t], rows[start + t], near, where)
        size = 5e-7 * (size_a[row] + size_b)
        limit = own[k - 1]
        if where[k - 1] < count:
            largest = 0.0
            for j in where:
                largest = max(largest, _distance(a, row, b, j, rho, np.inf))
            limit = min(limit, largest)
        admitted = _admitted(limit, size, rho)
        reach = admitted ** (1.0 / rho) / shrink if limit < np.inf else np.inf
        low = np.searchsorted(total_b, total_a[row] - reach) if limit < np.inf else 0
        high = np.searchsorted(total_b, total_a[row] + reach) if limit < np.inf else count
        for start in range(low, high, BLOCK):
            length = min(BLOCK, high - start)
            _bound(coarse_a, row, coarse_b, start, length, rho, bounds)
            for t in range(length):
                if bounds[t] > admitted:
                    continue
                j = rows[start + t]
                distance = _distance(a, row, b, j, rho, limit)
                if distance > limit:
                    continue
                _insert(distance, offset + j, own, names)
                if own[k - 1] < limit:
                    limit = own[k - 1]
                    admitted = _admitted(limit, size, rho)


@njit(nogil=True)
def generalized(a, b, length, alpha, out, first, last):
    """Write generalized UniFrac distances of rows first..last - 1 of a and the rows of b, shares below branches."""
    for row in range(first, last):
        for j in range(len(b)):
            unshared = whole = 0.0
            for e in range(len(length)):
                both = a[row, e] + b[j, e]
                if both > 0.0:
                    weight = length[e] * both**alpha
                    unshared += weight * abs(a[row, e] - b[j, e]) / both
                    whole += weight
            out[row, j] = unshared / whole if whole > 0.0 else 0.0
