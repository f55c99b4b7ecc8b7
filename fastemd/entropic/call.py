"""A call of Sinkhorn's functions: one problem, one solution from a backend, the result and a warning."""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any, NoReturn

import numpy as np

from ..arrays import device, inputs, placement
from ..arrays.bad_rows import good_rows, raise_unexplained, readable
from ..arrays.callers import caller_of
from ..arrays.device import DeviceArray
from ..problems import PLAIN_RANGE, SAFE_RANGE, Cost, SinkhornProblem, Solution
from ..results import SinkhornResult, SinkhornWarning
from . import validation

TOLERANCES = {"float16": 1e-6, "bfloat16": 1e-6, "float32": 1e-6, "float64": 1e-9}


def problem_of(
    a: Any,
    b: Any,
    cost: Cost,
    reg: Any,
    max_iter: Any,
    tol: Any,
    unbalanced: Any,
    method: Any,
    epsilon_scaling: Any,
    mass: Any,
    plan: bool = False,
    potentials: Any = None,
) -> SinkhornProblem:
    """Return the problem of a call, every argument checked."""
    x = validation.histogram(a, "a", cost.n, "rows")
    y = validation.histogram(b, "b", cost.k, "columns")
    dtype, batch = inputs.common(x, y, ("a", "b"))
    if isinstance(cost.matrix, DeviceArray):
        placement.check_same_device(x, cost.matrix, ("a", "cost_or_space"))
    normalize = inputs.one_of(mass, validation.MASSES, "mass") == "normalize"
    reg = validation.strength(reg, cost)
    max_iter = validation.iterations(max_iter)
    tol = TOLERANCES[dtype.name] if tol is None else validation.tolerance(tol)
    prices = validation.prices(unbalanced)
    if isinstance(x, DeviceArray):
        validation.check_on_device(cost, prices)
    wanted = inputs.one_of(method, validation.METHODS, "method")
    factor = validation.scaling_factor(epsilon_scaling)
    start = validation.potentials_pair(potentials, ((*batch, cost.n), (*batch, cost.k)), x)
    return SinkhornProblem(
        x,
        y,
        batch,
        dtype,
        dtype,
        cost,
        reg,
        _stages(reg, factor, cost),
        max_iter,
        tol,
        prices,
        _method(wanted, dtype, cost, reg, prices),
        normalize,
        None if normalize or prices is not None else inputs.tolerance(x.dtype, y.dtype, max(cost.n, cost.k)),
        start,
        plan,
        caller=None if x is a and y is b else caller_of(x, a, b, cost.space),
    )


def _method(wanted: str, dtype: Any, cost: Cost, reg: float, prices: Any) -> str:
    """Return the method: "scaling" only where nothing can over- or underflow."""
    if wanted == "log" or cost.forbids or (prices is not None and cost.space is None):
        return "log"
    limit = SAFE_RANGE[dtype.name] if cost.space is None else PLAIN_RANGE
    return "scaling" if cost.cost_range <= limit * reg else "log"


def _stages(reg: float, factor: float, cost: Cost) -> tuple[float, ...]:
    """Return reg, and before it the larger ones that epsilon scaling begins with."""
    stages = [reg]
    while factor and stages[0] < cost.cost_range:
        stages.insert(0, stages[0] / factor)
    return tuple(stages)


def solve(problem: SinkhornProblem, check: bool) -> Solution:
    """Return the solution of a problem; under `check` the first bad row raises."""
    on_device = isinstance(problem.a, DeviceArray)
    solution: Solution | None = backend(on_device).solve(problem, check)
    return _raise_bad_row(problem) if solution is None else solution


@functools.cache
def backend(on_device: bool) -> Any:
    """Return the backend, which loads numba when it is first needed."""
    return importlib.import_module(f"fastemd.{'cuda' if on_device else 'cpu'}.entropic.launch")


def _raise_bad_row(problem: SinkhornProblem) -> NoReturn:
    """Raise ValueError for the first bad row; arrays on a device are copied to host memory."""
    a, b = (readable(device.to_host(x)) for x in problem[:2])
    if not good_rows(a, b, problem.tolerance).all():
        validation.check_rows(a, b, problem.tolerance)
    validation.check_partners(a, b, problem.cost)
    for i, potential in enumerate(problem.start or ()):
        validation.check_finite(device.to_host(potential), f"potentials[{i}]")
    raise_unexplained(np.full(problem.batch, np.nan))


def answer(x: Any, problem: SinkhornProblem, dtype: Any = None, n: int = -1) -> Any:
    """Return an array as the caller has it: rounded to a dtype, a scalar for one pair, or of the caller's library.

    n is the number of bins in its last axis; -1 where that is no axis of bins.
    """
    if isinstance(x, DeviceArray):
        return device.to_caller(x)
    with np.errstate(over="ignore", under="ignore"):
        found = (x if dtype is None else x.astype(dtype))[()]
    return found if problem.caller is None else problem.caller(found, n)


def result_of(solution: Solution, problem: SinkhornProblem) -> SinkhornResult:
    """Return a solution as the caller has it."""
    value, regularised = (answer(x, problem, problem.dtype) for x in solution[:2])
    f, g, grad_a, grad_b = (answer(x, problem, problem.dtype, x.shape[-1]) for x in solution[2:6])
    n_iter, error, converged = (answer(x, problem) for x in solution[6:9])
    plan = None if solution.plan is None else answer(solution.plan, problem)
    return SinkhornResult(value, regularised, (f, g), plan, n_iter, error, converged, grad_a, grad_b, problem.method)


def warn(solutions: list[Solution], problem: SinkhornProblem, method: str, epsilon_scaling: Any, check: bool) -> None:
    """Warn, once, of rows that did not converge and of a method that had to be changed.

    On a device without `check` nothing is known of the rows, since to look would wait for them.
    """
    words = []
    if method == "scaling" and problem.method == "log":
        words.append(
            "method='scaling' became 'log': "
            + (
                "unbalanced potentials are kept as they are."
                if problem.unbalanced is not None
                else "with forbidden pairs a sum of exponentials can be of any size."
                if problem.cost.forbids
                else f"costs differ by up to {problem.cost.cost_range / problem.reg:.3g} times reg, whose exponential "
                f"{problem.dtype} cannot hold safely. Raise reg, "
                f"{'' if problem.dtype == np.float64 else 'pass float64, '}or leave the method to 'auto'."
            )
        )
    if problem.tol >= 0 and (check or not isinstance(problem.a, DeviceArray)):
        words += _unconverged(solutions, problem, bool(epsilon_scaling))
    if words:
        warnings.warn(" ".join(words), SinkhornWarning, stacklevel=3)


def _unconverged(solutions: list[Solution], problem: SinkhornProblem, scaled: bool) -> list[str]:
    """Return the sentence on rows that did not converge, if there are any."""
    total, worst = 0, []
    for converged, error, good in ((each.converged, each.error, each.good) for each in solutions):
        if isinstance(converged, DeviceArray):
            converged, error, good = device.to_host(converged).astype(bool), device.to_host(error), True
        total += converged.size
        if (failed := good & ~converged).any():
            worst.append(error[failed])
    if not worst:
        return []
    errors = np.concatenate(worst)
    mends = ["raise reg", f"raise max_iter (it was {problem.max_iter:,})", "raise tol"]
    mends += [] if scaled else ["pass epsilon_scaling=True"]
    mends += ["pass float64 arrays"] if problem.dtype != np.float64 else []
    return [
        f"{errors.size} of {total} rows did not converge: the largest marginal error is {errors.max():.2g}, more than "
        f"tol={problem.tol:.2g}. To mend it, {', or '.join(mends)}. Their answers say converged=False."
    ]
