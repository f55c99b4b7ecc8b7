"""From the arrays of a problem to compiled kernels: rows, scratch, threads.

Kernels read rows of float32 or float64 whose columns lie side by side. Leading axes are flattened without a copy: axes
that are evenly strided in every array are merged, and the rest becomes a loop, so a broadcast target is never copied.
Rows of another dtype, or with scattered columns, are staged: some hundred kilobytes at a time are converted, computed
and written back while they are in cache.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import typeof, types

from ... import threads
from ...arrays.strides import row_blocks
from ...problems import EMDProblem
from ..compilation import array, entry
from ..simd.lanes import WIDTH
from . import chain, kernels, long_chain, matching, ring, tree

SPACES = {"chain": chain, "ring": ring, "tree": tree}
VALUES = ("value", "logits_value")  # kernels that write values alone
FLAGS = {"gradient": (types.intp, types.intp)}
LONG = {"chain": 1 << 16}  # bins from which on lanes lie along a row
STAGED = 1 << 15  # numbers of a row block that is converted at a time: 256 KiB of float64
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)

_kept = threading.local()


class LaunchConfig(NamedTuple):
    """A compiled kernel, that of inverse masses or None, the layout of the space, and the numbers of scratch."""

    kernel: Callable[..., None]
    inverse_masses: Callable[..., None] | None
    space: Any
    scratch: int


def solve(problem: EMDProblem, kernel: str, flags: tuple[int, ...], values: np.ndarray, out: Any) -> None:
    """Run a kernel on all rows of a problem; it writes `values` (...) and, where there is one, `out` (..., n or m)."""
    a, b, batch = problem.a, problem.b, values.shape
    classes = problem.logits and b.dtype.kind in "iu"
    if classes:
        b = b.astype(np.int64, copy=False)
    shapes = (batch + a.shape[-1:], batch if classes else batch + b.shape[-1:])
    arrays = [x if x.shape == shape else np.broadcast_to(x, shape) for x, shape in zip((a, b), shapes, strict=True)]
    arrays += [values] if out is None else [values, out]
    for block in row_blocks(batch, arrays):
        _solve_rows(problem, kernel, flags, *block)


def _solve_rows(
    problem: EMDProblem,
    kernel: str,
    flags: tuple[int, ...],
    a: np.ndarray,
    b: np.ndarray,
    values: np.ndarray,
    out: np.ndarray | None = None,
) -> None:
    rows = len(values)
    dtype = FLOAT32 if problem.dtype.itemsize <= 4 else FLOAT64
    config = configuration(problem, kernel, dtype, b.ndim == 1)
    staged = [not _is_direct(x, dtype) for x in (a, b, values, out)]
    staged[1] &= b.ndim > 1
    columns = max(1, *(x.shape[-1] for x in (a, b, out) if x is not None and x.ndim == 2))
    block = rows
    if any(staged) or any(problem.normalized):
        block = max(WIDTH, STAGED // columns // WIDTH * WIDTH)

    constants = (config.space, problem.rho, problem.tolerance, *flags)
    scaled_a, scaled_b = problem.normalized

    def work(first: int, last: int) -> None:
        scratch = aligned_scratch(config.scratch)
        for start in range(first, last, block):
            part = slice(start, min(start + block, last))
            a_part = np.ascontiguousarray(a[part], dtype) if staged[0] else a[part]
            b_part = np.ascontiguousarray(b[part], dtype) if staged[1] else b[part]
            count = len(a_part)
            scale_a = _inverse_masses(config, a_part) if scaled_a else None
            scale_b = _inverse_masses(config, b_part) if scaled_b else None
            values_part = np.empty(count, dtype) if staged[2] else values[part]
            if out is None:
                written: tuple[np.ndarray, ...] = (values_part,)
            else:
                written = values_part, np.empty((count, out.shape[1]), dtype) if staged[3] else out[part]
            config.kernel(a_part, b_part, scale_a, scale_b, *constants, *written, scratch, 0, count)
            if staged[2]:
                _round(values_part, values[part])
            if out is not None and staged[3]:
                _round(written[1], out[part])

    size = rows * columns * (1 if problem.rho in (1.0, 2.0) else threads.POWER)
    direct = not any(staged) and not any(problem.normalized)
    if kernel == "gradient" and is_long(problem) and direct and shared_pays(rows, size):
        return _share_rows(problem, config, flags, a, b, values, out, size)
    if size < threads.PARALLEL:
        work(0, rows)
    else:
        threads.share(work, rows, WIDTH, size)


def shared_pays(rows: int, size: int) -> bool:
    """Whether threads should share each row, not the rows."""
    return rows < threads.get_num_threads() and size >= threads.PARALLEL


def _share_rows(
    problem: EMDProblem,
    config: LaunchConfig,
    flags: tuple[int, ...],
    a: np.ndarray,
    b: np.ndarray,
    values: np.ndarray,
    out: Any,
    size: int,
) -> None:
    """Compute the gradient of a few long rows in three passes, the pieces of a row split among the threads."""
    sums, slope_sums, write = _passes(problem, a.dtype)
    space, rho, tolerance = config.space, problem.rho, problem.tolerance
    summary = np.empty(config.scratch)
    pieces = config.scratch // long_chain.FIELDS
    for row in range(len(values)):
        for work in (
            lambda first, last, r=row: sums(a, b, None, None, summary, r, first, last),
            lambda first, last, r=row: slope_sums(a, b, None, None, space, rho, summary, r, first, last),
            lambda first, last, r=row: write(
                a, b, None, None, space, rho, tolerance, *flags, values, out, summary, r, first, last
            ),
        ):
            threads.share(work, pieces, 1, size)


def _passes(problem: EMDProblem, dtype: np.dtype) -> tuple[Callable[..., None], ...]:
    """Return the compiled passes by which threads share a row."""
    rows, vector, index = array(dtype, 2), array(dtype, 1), types.intp
    pair = (rows, rows, types.none, types.none)
    literal = int(problem.rho) if problem.rho in (1.0, 2.0) else 0
    space = (typeof(prepared(problem.space, True)), types.literal(literal) if literal else types.float64)
    place = (kernels.SCRATCH, index, index, index)
    return (
        entry(long_chain.sums, (*pair, *place)),
        entry(long_chain.slope_sums, (*pair, *space, *place)),
        entry(long_chain.write_gradient, (*pair, *space, types.float64, *FLAGS["gradient"], vector, rows, *place)),
    )


def _inverse_masses(config: LaunchConfig, x: np.ndarray) -> np.ndarray:
    """Return the factors that make the mass of each row 1."""
    factors = np.empty(len(x))
    config.inverse_masses(x, factors, 0, len(x))  # type: ignore[misc]
    return factors


def _round(exact: np.ndarray, out: np.ndarray) -> None:
    """Write to an array of fewer digits; numbers beyond its range become infinite or 0, as they do in arithmetic."""
    with np.errstate(over="ignore", under="ignore"):
        out[...] = exact


def _is_direct(x: np.ndarray | None, dtype: np.dtype) -> bool:
    """Whether a kernel can read or write the array as it lies."""
    if x is None:
        return True
    columns = x.ndim == 1 or x.shape[1] <= 1 or x.strides[1] == dtype.itemsize
    return x.dtype == dtype and x.flags.aligned and columns


def aligned_scratch(size: int) -> np.ndarray:
    """Return a float64 vector aligned to a cache line; a thread keeps a small one for its next call."""
    kept: np.ndarray | None = getattr(_kept, "scratch", None)
    if kept is not None and len(kept) >= size:
        return kept
    spare = threads.ALIGNMENT // 8
    raw = np.empty(size + spare)
    start = -(raw.ctypes.data // 8) % spare
    scratch = raw[start : start + size]
    if size <= threads.KEPT:
        _kept.scratch = scratch
    return scratch


def configuration(problem: EMDProblem, kernel: str, dtype: np.dtype, classes: bool) -> LaunchConfig:
    """Return the launch configuration for rows of float32 or float64, and a target of classes or rows.

    It is kept with the space, since making numba's types anew would take longer than a small call.
    """
    literal = int(problem.rho) if problem.rho in (1.0, 2.0) else 0
    key = ("cpu", kernel, dtype.char, literal, problem.normalized, classes)
    config: LaunchConfig | None = problem.space.kept.get(key)
    if config is None:
        config = problem.space.kept[key] = _makeconfiguration(problem, kernel, dtype, literal, classes)
    return config


def _makeconfiguration(problem: EMDProblem, kernel: str, dtype: np.dtype, literal: int, classes: bool) -> LaunchConfig:
    space = prepared(problem.space, is_long(problem))
    rows, vector, factor = array(dtype, 2), array(dtype, 1), array(np.float64, 1)
    signature = (
        rows,
        array(np.int64, 1) if classes else rows,
        *(factor if normalized else types.none for normalized in problem.normalized),
        typeof(space),
        types.literal(literal) if literal else types.float64,
        types.float64,
        *FLAGS.get(kernel, ()),
        *((vector,) if kernel in VALUES else (vector, rows)),
        kernels.SCRATCH,
        types.intp,
        types.intp,
    )
    inverse_masses = None
    if any(problem.normalized):
        inverse_masses = entry(kernels.inverse_masses, (rows, factor, types.intp, types.intp))
    if is_long(problem):
        scratch = -(-problem.space.n // long_chain.PIECE) * long_chain.FIELDS
        return LaunchConfig(entry(getattr(long_chain, kernel), signature), inverse_masses, space, scratch)
    scratch = (2 if problem.logits else 1) * space.slots * WIDTH
    return LaunchConfig(entry(getattr(kernels, kernel), signature), inverse_masses, space, scratch)


def is_long(problem: EMDProblem) -> bool:
    """Whether lanes lie along the rows of a problem: n alone decides, so that a row's bits do not depend on others."""
    return not problem.logits and problem.space.n >= LONG.get(problem.space.kind, sys.maxsize)


def prepared(space: Any, long: bool) -> Any:
    """Return the layout of a space for short rows or for long ones, which is kept with the space."""
    key = "cpu, long" if long else "cpu"
    if key not in space.kept:
        module = long_chain if long else SPACES[space.kind]
        space.kept[key] = module.prepare(space.arrays, space.n)
    return space.kept[key]


def match(
    difference: np.ndarray,
    up: np.ndarray,
    bin_node: np.ndarray,
    source: np.ndarray,
    sink: np.ndarray,
    amount: np.ndarray,
) -> int:
    """Match surplus and deficit along a tree, see `matching.match`; return how many entries were written."""
    index, number = array(np.intp, 1), array(np.float64, 1)
    kernel = entry(matching.match, (number, index, index, index, index, number))
    return int(kernel(difference, up, bin_node, source, sink, amount))
