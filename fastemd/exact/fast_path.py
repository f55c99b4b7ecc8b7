"""The short way of a usual call: a pair of histograms, or two small batches of one shape, in numpy arrays.

One pair of 100 bins takes longer to look at than to compute. So where both arrays are exactly numpy's, of one float
dtype, C order and shape, and the options are the usual ones, what follows from space, kernel, dtype and rho is decided
once and kept with the space. Everything else, and whatever turns out bad, is answered by None: then the call goes the
ordinary way (`fastemd.exact.call`), which says what is wrong. So no check is dropped, and no error has two texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import threads
from ..problems import EMDProblem
from ..spaces import Chain, Ring, Tree
from .call import cpu_launch, histogram_problem

EQUAL, RAISE, FIRST = "equal", "raise", "a"  # the usual options, compared by identity: literals are one object
SPACES = frozenset({Chain, Ring, Tree})
DTYPES = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
WHOLE = (1, 2)  # exponents that kernels are compiled for


class Prepared(NamedTuple):
    """What is decided once: bins, columns of the output, compiled kernel, layout, tolerance of the masses, scratch."""

    n: int
    columns: int | None
    kernel: Callable[..., None]
    layout: Any
    tolerance: float
    scratch: Callable[[int], np.ndarray]
    scratch_size: int


def solve(
    kernel: str, a: Any, b: Any, space: Any, rho: Any, out: Any, check: Any, *flags: int
) -> tuple[Any, Any] | None:
    """Return the values and the output of a kernel for a usual call, or None; "value" has no output."""
    if type(a) is not np.ndarray or type(b) is not np.ndarray or type(space) not in SPACES:
        return None
    if (type(rho) is not int and type(rho) is not float) or not 1 <= rho < math.inf:
        return None
    dtype, shape = a.dtype, a.shape
    if b.dtype is not dtype or b.shape != shape or not _is_direct(a) or not _is_direct(b):
        return None
    size = a.size if rho in WHOLE else a.size * threads.POWER
    if not 0 < size < threads.PARALLEL or not 1 <= len(shape) <= 2 or dtype not in DTYPES:
        return None
    prepared = space.kept.get(("usual", kernel, dtype, rho if rho in WHOLE else 0))
    if prepared is None:
        prepared = _prepare(kernel, histogram_problem(a, b, space, rho, EQUAL))
    if shape[-1] != prepared.n:
        return None
    written: tuple[np.ndarray, ...] = ()
    if prepared.columns is not None:
        wanted = (*shape[:-1], prepared.columns)
        if out is None:
            out = np.empty(wanted, dtype)
        elif not _fits(out, wanted, dtype, a, b):
            return None
        written = (out if len(shape) == 2 else out[None],)
    rows = shape[0] if len(shape) == 2 else 1
    values = np.empty(rows, dtype)
    pair = (a, b) if len(shape) == 2 else (a[None], b[None])
    scratch = prepared.scratch(prepared.scratch_size)
    prepared.kernel(
        *pair, None, None, prepared.layout, float(rho), prepared.tolerance, *flags, values, *written, scratch, 0, rows
    )
    if len(shape) == 2:
        return None if check and math.isnan(np.minimum.reduce(values)) else (values, out)
    value = values[0]
    return None if check and value != value else (value, out)


def _is_direct(x: np.ndarray) -> bool:
    """Whether a kernel can read or write an array as it lies."""
    flags = x.flags
    return flags.c_contiguous and flags.aligned


def _fits(out: Any, shape: tuple[int, ...], dtype: np.dtype, a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a kernel can write its output to `out`, which shares no memory with the inputs."""
    return (
        type(out) is np.ndarray
        and out.dtype is dtype
        and out.shape == shape
        and out.flags.writeable
        and _is_direct(out)
        and not (np.may_share_memory(out, a) or np.may_share_memory(out, b))
    )


def _prepare(kernel: str, problem: EMDProblem) -> Prepared:
    """Decide what follows from the space, kernel, dtype and rho of a problem, and keep it with the space."""
    launch = cpu_launch()
    config = launch.configuration(problem, kernel, problem.dtype, False)
    space = problem.space
    columns = {"value": None, "gradient": space.n, "flow": space.m}[kernel]
    found = Prepared(
        space.n, columns, config.kernel, config.space, problem.tolerance, launch.aligned_scratch, config.scratch
    )
    space.kept["usual", kernel, problem.dtype, problem.rho if problem.rho in WHOLE else 0] = found
    return found
