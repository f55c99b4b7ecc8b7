"""A call with two arrays of rows: one problem, one kernel, and an error for the first bad row."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from ..arrays import device, inputs
from ..arrays.device import AnyArray, DeviceArray
from ..formulas.mass import ANY_SURPLUS
from ..problems import EMDProblem
from . import bad_rows, validation


def histogram_problem(a: Any, b: Any, space: Any, rho: Any, mass: Any) -> EMDProblem:
    """Return the problem of two arrays of histograms."""
    space, rho, mass = validation.options(space, rho, mass)
    a, b = inputs.histograms(a, "a", space), inputs.histograms(b, "b", space)
    dtype, batch = inputs.common(a, b, ("a", "b"))
    tolerance = ANY_SURPLUS if mass == "root" else inputs.tolerance(dtype, space.n)
    return EMDProblem(a, b, batch, dtype, space, rho, mass, tolerance, (mass == "normalize",) * 2)


def logits_problem(logits: Any, target: Any, space: Any, rho: Any, mass: Any) -> EMDProblem:
    """Return the problem of logits and a target."""
    space, rho, mass = validation.options(space, rho, mass, validation.PLAN_MASSES)
    z, y, classes = validation.logits_and_target(logits, target, space)
    dtype, batch = inputs.common(z, y, ("logits", "target"), classes)
    normalized = (False, mass == "normalize" and not classes)
    return EMDProblem(z, y, batch, dtype, space, rho, mass, inputs.tolerance(dtype, space.n), normalized, True)


def output(problem: EMDProblem, out: Any, columns: int, name: str = "out") -> AnyArray:
    """Return `out`, if it fits an answer of so many columns, or a new array where it is None."""
    shape = (*problem.batch, columns)
    if out is None:
        return _empty(problem, shape)
    names = ("logits", "target") if problem.logits else ("a", "b")
    return inputs.output(out, name, shape, problem.dtype, dict(zip(names, problem[:2], strict=True)))


def solve(
    problem: EMDProblem, kernel: str, out: AnyArray | None, check: bool, *flags: int, values: Any = None
) -> tuple[Any, Any]:
    """Run a kernel and return the values and `out`, as the caller's library has them.

    The values are an array, or for one pair a scalar (on a device, an array of no axes). They are written to `values`,
    where that is given.
    """
    if values is None:
        values = _empty(problem, problem.batch)
    on_device = isinstance(values, DeviceArray)
    if values.size:
        _backend(on_device).solve(problem, kernel, flags, values, out)
    if check and np.isnan(found := device.to_host(values) if on_device else values).any():
        check_rows(problem)
        bad_rows.raise_unexplained(found)
    return (device.to_caller(values), device.to_caller(out)) if on_device else (values[()], out)


def check_rows(problem: EMDProblem) -> None:
    """Raise ValueError for the first bad row; arrays on a device are copied to host memory."""
    a, b = device.to_host(problem.a), device.to_host(problem.b)
    look = bad_rows.check_logits if problem.logits else bad_rows.check_histograms
    look(a, b, problem.space, problem.mass, problem.tolerance)


def _empty(problem: EMDProblem, shape: tuple[int, ...]) -> Any:
    if isinstance(problem.a, DeviceArray):
        return device.empty(problem.a, shape, problem.dtype)
    return np.empty(shape, problem.dtype)


@functools.cache
def _backend(on_device: bool) -> Any:
    """Return the backend, which loads numba when it is first needed."""
    return importlib.import_module(f"fastemd.{'cuda' if on_device else 'cpu'}.exact.launch")
