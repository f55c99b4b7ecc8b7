"""From blocks of rows to the kernels of all pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types

from ... import threads
from ..compilation import array, entry
from . import kernels
from .micro_kernel import PANELS, ROWS

RANGE = (types.intp, types.intp)
STEP = 8  # numbers that a tile adds up in the time that `threads.share` counts as one


class Packed(NamedTuple):
    """Rows as a kernel reads them, column by column in groups; `rows` of them count, the rest is 0."""

    numbers: np.ndarray
    rows: int
    columns: int


def panel(dtype: np.dtype) -> int:
    """Return how many rows a panel has."""
    return int(PANELS[types.float32 if dtype == np.float32 else types.float64])


def pack(rows: np.ndarray, group: int) -> Packed:
    """Return rows (count, columns) in groups of so many."""
    count, columns = rows.shape
    groups = -(-count // group)
    packed = np.zeros((groups, columns, group), rows.dtype)
    whole = count // group
    packed[:whole] = rows[: whole * group].reshape(whole, group, columns).swapaxes(1, 2)
    if whole < groups:
        packed[whole, :, : count - whole * group] = rows[whole * group :].T
    return Packed(packed.ravel(), count, columns)


def dense(a: Packed, b: Packed, rho: float) -> np.ndarray:
    """Return the float64 distances (rows of a, rows of b) of packed rows, a in groups of `ROWS` and b in panels."""
    dtype = a.numbers.dtype
    width = panel(dtype)
    groups, panels = -(-a.rows // ROWS), -(-b.rows // width)
    out = np.zeros((groups * ROWS, panels * width))
    if a.columns:
        vector, matrix = array(dtype, 1, "C"), array(np.float64, 2, "C")
        head = (vector, vector, types.intp, types.intp)
        if rho in (1.0, 2.0):
            kernel = entry(kernels.absolute_tiles if rho == 1 else kernels.square_tiles, (*head, matrix, *RANGE))
            options: tuple[Any, ...] = ()
        else:
            kernel = entry(kernels.power_tiles, (*head, types.float64, matrix, *RANGE))
            options = (rho,)
        size = out.size * a.columns // STEP * (1 if rho in (1.0, 2.0) else threads.POWER)

        def work(first: int, last: int) -> None:
            kernel(a.numbers, b.numbers, a.columns, panels, *options, out, first, last)

        threads.share(work, groups, 1, size)
    return out[: a.rows, : b.rows]


def sparse(a: Any, b: Any, norms_a: np.ndarray, norms_b: np.ndarray, rho: float) -> np.ndarray:
    """Return the float64 distances of the rows of a csr array and those of another one, given as csc."""
    literal = types.literal(int(rho)) if rho in (1.0, 2.0) else types.float64
    index, vector = array(np.int64, 1, "C"), array(np.float64, 1, "C")
    signature = (index, index, vector, vector, index, index, vector, vector, literal, array(np.float64, 2, "C"), *RANGE)
    kernel = entry(kernels.sparse_rows, signature)
    out = np.empty((a.shape[0], b.shape[0]))
    arrays = [np.ascontiguousarray(x, np.int64) for x in (a.indptr, a.indices, b.indptr, b.indices)]
    lengths = np.diff(b.indptr)
    size = int(lengths[a.indices].sum()) + out.size

    def work(first: int, last: int) -> None:
        kernel(*arrays[:2], a.data, norms_a, *arrays[2:], b.data, norms_b, rho, out, first, last)

    threads.share(work, a.shape[0], 1, size)
    return out


def embed(rows: np.ndarray, scale: np.ndarray | None, columns: Any, common: Any, weight: Any, out: np.ndarray) -> None:
    """Write the embedding of dense rows of float32 or float64, see the kernel."""
    index, vector = array(np.int64, 1, "C"), array(np.float64, 1, "C")
    signature = (array(rows.dtype, 2, "C"), vector, index, index, index, vector, vector, array(out.dtype, 2, "C"))
    kernel = entry(kernels.embed, (*signature, *RANGE))
    order, first, beyond = (np.ascontiguousarray(x, np.int64) for x in columns[:3])
    factors = np.empty(0) if scale is None else np.ascontiguousarray(scale)

    def work(begin: int, end: int) -> None:
        kernel(rows, factors, order, first, beyond, common, weight, out, begin, end)

    threads.share(work, len(rows), 8, rows.size + out.size)


class Searched(NamedTuple):
    """A block of rows to search in: the rows, sums of groups of columns, and sums of all columns, ascending."""

    rows: np.ndarray
    coarse: np.ndarray
    totals: np.ndarray
    order: np.ndarray
    size: float


def searched(rows: np.ndarray, starts: np.ndarray, shrink: np.ndarray) -> Searched:
    """Return a block of rows; groups of columns begin at `starts` and are multiplied by `shrink`."""
    coarse, totals, sizes = _sums(rows, starts, shrink)
    order = np.argsort(totals, kind="stable")
    size = float(sizes.max(initial=0.0))
    return Searched(rows, np.ascontiguousarray(coarse[order].T), totals[order], order, size)


def _sums(rows: np.ndarray, starts: np.ndarray, shrink: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums of groups of columns, of all columns, and of the absolute numbers of each row."""
    matrix, vector, index = array(np.float64, 2, "C"), array(np.float64, 1, "C"), array(np.int64, 1, "C")
    signature = (array(rows.dtype, 2, "C"), index, vector, matrix, vector, vector, *RANGE)
    kernel = entry(kernels.group_sums, signature)
    sums, totals, sizes = np.empty((len(rows), len(shrink))), np.empty(len(rows)), np.empty(len(rows))
    ends = np.append(starts, rows.shape[1]).astype(np.int64)

    def work(first: int, last: int) -> None:
        kernel(rows, ends, shrink, sums, totals, sizes, first, last)

    threads.share(work, len(rows), 8, rows.size)
    return sums, totals, sizes


def nearest(
    a: np.ndarray,
    block: Searched,
    starts: np.ndarray,
    shrink: np.ndarray,
    rho: float,
    offset: int,
    found: np.ndarray,
    index: np.ndarray,
) -> None:
    """Update the nearest rows of a by those of a block, see the kernel."""
    rows, floats, whole = array(a.dtype, 2, "C"), array(np.float64, 2, "C"), array(np.int64, 2, "C")
    vector, order = array(np.float64, 1, "C"), array(np.int64, 1, "C")
    sums = (floats, floats, vector, vector, order, vector)
    signature = (rows, rows, *sums, *(types.float64,) * 3, types.intp, floats, whole, *RANGE)
    kernel = entry(kernels.nearest, signature)
    coarse, totals, sizes = _sums(a, starts, shrink)
    whole_shrink = float(max(a.shape[1], 1)) ** (1.0 / rho - 1.0)
    arrays = (np.ascontiguousarray(coarse), block.coarse, totals, block.totals, block.order, sizes)

    def work(first: int, last: int) -> None:
        kernel(a, block.rows, *arrays, block.size, rho, whole_shrink, offset, found, index, first, last)

    threads.share(work, len(a), 1, len(a) * len(block.rows))


def generalized(a: np.ndarray, b: np.ndarray, length: np.ndarray, alpha: float) -> np.ndarray:
    """Return generalized UniFrac distances of rows of shares, see the kernel."""
    matrix, vector = array(np.float64, 2, "C"), array(np.float64, 1, "C")
    kernel = entry(kernels.generalized, (matrix, matrix, vector, types.float64, matrix, *RANGE))
    out = np.empty((len(a), len(b)))

    def work(first: int, last: int) -> None:
        kernel(a, b, length, alpha, out, first, last)

    threads.share(work, len(a), 1, out.size * len(length) * threads.POWER)
    return out
