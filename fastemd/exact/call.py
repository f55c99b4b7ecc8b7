"""A call with two arrays of rows: one problem, one kernel, and an error for the first bad row."""

from __future__ import annotations

import functools
import importlib
from typing import Any, NamedTuple

import numpy as np

from ..arrays import device, inputs
from ..arrays.callers import caller_of
from ..arrays.device import DeviceArray
from ..formulas.mass import ANY_SURPLUS
from ..problems import EMDProblem
from . import bad_rows, validation


def histogram_problem(a: Any, b: Any, space: Any, rho: Any, mass: Any, empty: Any = "raise") -> EMDProblem:
    """Return the problem of two arrays of histograms."""
    space, rho, mass = validation.options(space, rho, mass)
    x, y = inputs.histograms(a, "a", space), inputs.histograms(b, "b", space)
    dtype, batch = inputs.common(x, y, ("a", "b"))
    tolerance = ANY_SURPLUS if mass == "root" else inputs.tolerance(x.dtype, y.dtype, space.n)
    caller = None if x is a and y is b else caller_of(x, a, b, space)
    normalized = (mass == "normalize",) * 2
    if empty != "raise":
        empty = validation.empty_policy(empty, x)
    return EMDProblem(x, y, batch, dtype, space, rho, mass, tolerance, normalized, False, caller, empty)


def logits_problem(logits: Any, target: Any, space: Any, rho: Any, mass: Any) -> EMDProblem:
    """Return the problem of logits and a target."""
    space, rho, mass = validation.options(space, rho, mass, validation.PLAN_MASSES)
    z, y, classes = validation.logits_and_target(logits, target, space)
    dtype, batch = inputs.common(z, y, ("logits", "target"), classes)
    normalized = (False, mass == "normalize" and not classes)
    tolerance = inputs.tolerance(z.dtype, z.dtype if classes else y.dtype, space.n)
    caller = None if z is logits and y is target else caller_of(z, logits, target, space)
    return EMDProblem(z, y, batch, dtype, space, rho, mass, tolerance, normalized, True, caller)


class Output(NamedTuple):
    """Where a kernel writes (..., columns).

    Parameters
    ----------
    array : ndarray or DeviceArray
    given : object or None
        The caller's own array with that memory; None for a new one.
    n : int
        Number of bins in the last axis; -1 where it is one of edges.
    """

    array: Any
    given: Any = None
    n: int = -1


NO_OUTPUT = Output(None)


def output(problem: EMDProblem, out: Any, columns: int, name: str = "out", edges: bool = False) -> Output:
    """Return `out`, if it fits an answer of so many columns, or a new array where it is None."""
    shape = (*problem.batch, columns)
    n = -1 if edges else columns
    if out is None:
        return Output(_empty(problem, shape), None, n)
    names = ("logits", "target") if problem.logits else ("a", "b")
    return Output(inputs.output(out, name, shape, problem.dtype, dict(zip(names, problem[:2], strict=True))), out, n)


def solve(
    problem: EMDProblem, kernel: str, output: Output, check: bool, *flags: int, values: Any = None
) -> tuple[Any, Any]:
    """Run a kernel and return the values and the output, as the caller's library has them.

    The values are an array, or for one pair a scalar (on a device, an array of no axes). They are written to `values`,
    where that is given.
    """
    if values is None:
        values = _empty(problem, problem.batch)
    out = output.array
    on_device = isinstance(values, DeviceArray)
    if values.size:
        _backend(on_device).solve(problem, kernel, flags, values, out)
    if (check or problem.empty == "zero") and np.isnan(read := device.to_host(values) if on_device else values).any():
        if problem.empty == "zero":
            _answer_empty(problem, values, out)
        if check:
            check_rows(problem)
            unexplained = np.isnan(read) & ~empty_pairs(problem) if problem.empty == "nan" else np.isnan(read)
            if unexplained.any():
                bad_rows.raise_unexplained(np.where(unexplained, np.nan, 0.0))
    found = device.to_caller(values) if on_device else values[()]
    if problem.caller is not None:
        found = problem.caller(found, -1)
    return found, answer(problem, output)


def answer(problem: EMDProblem, output: Output) -> Any:
    """Return an output as the caller has it."""
    if output.given is not None:
        return output.given
    if isinstance(output.array, DeviceArray):
        return device.to_caller(output.array)
    if output.array is None or problem.caller is None:
        return output.array
    return problem.caller(output.array, output.n)


def empty_pairs(problem: EMDProblem) -> np.ndarray:
    """Return which pairs (...) have a row whose bins are all 0."""
    a, b = (bad_rows.is_empty(device.to_host(x)) for x in problem[:2])
    return np.broadcast_to(a | b, problem.batch)


def _answer_empty(problem: EMDProblem, values: np.ndarray, out: np.ndarray | None) -> None:
    """Write 0 to the answers of pairs with an empty row that are NaN for that reason."""
    empty = empty_pairs(problem) & np.isnan(values)
    values[empty] = 0.0
    if out is not None:
        out[empty] = 0.0


def check_rows(problem: EMDProblem) -> None:
    """Raise ValueError for the first bad row; arrays on a device are copied to host memory."""
    a, b = (bad_rows.readable(device.to_host(x)) for x in problem[:2])
    if problem.logits:
        bad_rows.check_logits(a, b, problem.space, problem.mass, problem.tolerance)
    else:
        bad_rows.check_histograms(a, b, problem.space, problem.mass, problem.tolerance, problem.empty != "raise")


def _empty(problem: EMDProblem, shape: tuple[int, ...]) -> Any:
    if isinstance(problem.a, DeviceArray):
        return device.empty(problem.a, shape, problem.dtype)
    return np.empty(shape, problem.dtype)


@functools.cache
def _backend(on_device: bool) -> Any:
    """Return the backend, which loads numba when it is first needed."""
    return importlib.import_module(f"fastemd.{'cuda' if on_device else 'cpu'}.exact.launch")


def cpu_launch() -> Any:
    """Return the CPU's backend."""
    return _backend(False)
