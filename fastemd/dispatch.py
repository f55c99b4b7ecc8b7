"""From the arrays of a call to a kernel: rows, buffers, threads.

Kernels read rows of float32 or float64 whose columns lie side by side. Leading axes are flattened without a copy:
axes that lie evenly in every array of the call are merged into one axis of rows, and what cannot be merged becomes a
loop here, so that a broadcast target is never copied out. Rows in another dtype or with scattered columns are staged:
some hundred kilobytes at a time are converted, computed and written back while they are in cache.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import device, threads
from .device import DeviceArray
from .space import Space

LANES = 8
STAGED = 1 << 15  # numbers of a row block that is converted at a time: 256 KiB of float64
SHARED = 1 << 18  # numbers from which on threads pay, since to wake one takes some 50 microseconds
POWER = 16  # how many times as long a number takes where rho needs a power

_kept = threading.local()


class Job(NamedTuple):
    """A kernel and all that its calls have in common."""

    kernel: str
    space: Space
    rho: float
    tolerance: float
    normalized: tuple[bool, bool]
    flags: tuple[Any, ...] = ()


def run(job: Job, x: Any, y: Any, values: Any, out: Any) -> None:
    """Run a kernel on rows x (..., n), y (..., n) or (...) that broadcast to the shape of `values` (...).

    Results are written to `values`, and to `out` (..., n or m) where there is one. All of the arrays lie in host
    memory, or all of them on one CUDA device, where what has been asked for is done in the order of their stream.
    """
    if values.size == 0:
        return
    if isinstance(values, DeviceArray):
        from .cuda import wing

        wing.run(job, x, y, values, out)
        device.settle(x, y)
        return
    batch = values.shape
    classes = job.kernel == "logits" and y.dtype.kind in "iu"
    shapes = (batch + x.shape[-1:], batch if classes else batch + y.shape[-1:])
    arrays = [z if z.shape == shape else np.broadcast_to(z, shape) for z, shape in zip((x, y), shapes, strict=True)]
    arrays += [values] if out is None else [values, out]
    for strip in strips(batch, arrays):
        _run_rows(job, *strip)


def strips(batch: tuple[int, ...], arrays: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Yield views of arrays of shape (*batch, ...) with one axis of rows each, together all of their rows.

    The longest run of rows that lies evenly in all arrays is one strip; there are as few strips as can be.
    """
    if len(batch) < 2:
        yield [x.reshape(1, *x.shape) for x in arrays] if len(batch) == 0 else list(arrays)
        return
    sizes: list[int] = []
    last = 0
    for axis, size in enumerate(batch):
        if size == 1:
            continue
        if sizes and all(x.strides[last] == size * x.strides[axis] for x in arrays):
            sizes[-1] *= size
        else:
            sizes.append(size)
        last = axis
    sizes = sizes or [1]
    merged = [x.reshape(*sizes, *x.shape[len(batch) :]) for x in arrays]
    longest = sizes.index(max(sizes))
    merged = [np.moveaxis(x, longest, len(sizes) - 1) for x in merged]
    for index in np.ndindex(*sizes[:longest], *sizes[longest + 1 :]):
        yield [x[index] for x in merged]


@functools.cache
def _cpu_wing() -> Any:
    from .cpu import wing

    return wing


def _run_rows(job: Job, x: np.ndarray, y: np.ndarray, values: np.ndarray, out: np.ndarray | None = None) -> None:
    rows = len(values)
    dtype = np.dtype(np.float32) if x.dtype.itemsize <= 4 and x.dtype.kind == "f" else np.dtype(np.float64)
    classes = y.ndim == 1
    plan = _cpu_wing().plan(job, dtype, classes)
    staged = [not _is_direct(array, dtype) for array in (x, y, values, out)]
    staged[1] &= not classes
    columns = max(1, *(array.shape[-1] for array in (x, y, out) if array is not None and array.ndim == 2))
    block = rows
    if any(staged) or any(job.normalized):
        block = max(LANES, STAGED // columns // LANES * LANES)

    def work(first: int, last: int) -> None:
        buffer = scratch(plan.buffer)
        for start in range(first, last, block):
            here = slice(start, min(start + block, last))
            x_here = np.ascontiguousarray(x[here], dtype) if staged[0] else x[here]
            y_here = np.ascontiguousarray(y[here], dtype) if staged[1] else y[here]
            values_here = np.empty(len(x_here), dtype) if staged[2] else values[here]
            out_here = None
            if out is not None:
                out_here = np.empty((len(x_here), out.shape[1]), dtype) if staged[3] else out[here]
            plan.call(job, x_here, y_here, values_here, out_here, buffer)
            if staged[2]:
                _round(values_here, values[here])
            if out is not None and out_here is not None and staged[3]:
                _round(out_here, out[here])

    parts = 1
    if rows * columns * (1 if job.rho in (1.0, 2.0) else POWER) >= SHARED:
        parts = min(threads.get_num_threads(), -(-rows // LANES))
    threads.share(work, rows, LANES, parts)


def _round(exact: np.ndarray, out: np.ndarray) -> None:
    """Write to an array of fewer digits; what is too large for it becomes infinite, as it does in arithmetic."""
    with np.errstate(over="ignore"):
        out[...] = exact


def _is_direct(x: np.ndarray | None, dtype: np.dtype) -> bool:
    """Whether a kernel can read or write the array as it lies."""
    if x is None:
        return True
    columns = x.ndim == 1 or x.shape[1] <= 1 or x.strides[1] == dtype.itemsize
    return x.dtype == dtype and x.flags.aligned and columns


def scratch(size: int) -> np.ndarray:
    """Return a float64 vector on a cache line's border; a thread keeps a small one for its next call."""
    buffer: np.ndarray | None = getattr(_kept, "buffer", None)
    if buffer is None or len(buffer) < size:
        spare = threads.ALIGNMENT // 8
        raw = np.empty(size + spare)
        start = -(raw.ctypes.data // 8) % spare
        buffer = raw[start : start + size]
        if size <= threads.KEPT:
            _kept.buffer = buffer
    return buffer
