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
def nearest(a, b, bounds, size_a, size_b, rho, offset, found, index, first, last):
    """Update the nearest rows of rows first..last - 1 of a by those of a block b that their lower bounds admit.

    `found` (rows, k) holds distances in ascending order, inf where there are none yet, and `index` whose they are;
    the block begins at row `offset`. `bounds` (rows, rows of b) are lower bounds up to rounding, which grows with the
    sums of the rows' absolute numbers, `size_a` and `size_b`. Of equal distances the first index is kept.
    """
    k, root = found.shape[1], 1.0 / rho
    for row in range(first, last):
        # The exact distances of the k rows with the least bounds bound the k-th distance from above.
        limit = found[row, k - 1]
        best, where = np.full(k, np.inf), np.full(k, -1)
        for j in range(len(b)):
            if bounds[row, j] < best[k - 1]:
                at = k - 1
                while at > 0 and best[at - 1] > bounds[row, j]:
                    best[at], where[at] = best[at - 1], where[at - 1]
                    at -= 1
                best[at], where[at] = bounds[row, j], j
        if where[k - 1] >= 0:
            largest = 0.0
            for j in where:
                largest = max(largest, _distance(a, row, b, j, rho, np.inf))
            limit = min(limit, largest)
        reach = limit**root * 1.0001
        for j in range(len(b)):
            if bounds[row, j] ** root * 0.9999 > reach + 5e-7 * (size_a[row] + size_b[j]):
                continue
            distance = _distance(a, row, b, j, rho, limit)
            if distance > limit or distance >= found[row, k - 1]:
                continue
            at = k - 1
            while at > 0 and found[row, at - 1] > distance:
                found[row, at], index[row, at] = found[row, at - 1], index[row, at - 1]
                at -= 1
            found[row, at], index[row, at] = distance, offset + j
            if found[row, k - 1] < limit:
                limit = found[row, k - 1]
                reach = limit**root * 1.0001
