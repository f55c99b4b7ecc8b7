"""What calls of Sinkhorn's functions have in common: checks, the answer's kind, and a warning."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from . import arguments, device_arguments
from . import entropic_arguments as checks
from .device import DeviceArray
from .entropic_problem import Outcome, Task
from .results import SinkhornResult, SinkhornWarning

TOLERANCES = {"float16": 1e-6, "bfloat16": 1e-6, "float32": 1e-6, "float64": 1e-9}


class Call(NamedTuple):
    """A checked call; which rows are `good` is seen later of arrays on a device, whose masses differ by `tolerance`."""

    a: Any
    b: Any
    batch: tuple[int, ...]
    dtype: Any
    good: np.ndarray
    task: Task
    tolerance: float | None


def checked(
    a: Any,
    b: Any,
    ground: checks.Ground,
    reg: Any,
    max_iter: Any,
    tol: Any,
    method: Any,
    epsilon_scaling: Any,
    mass: Any,
    unbalanced: Any,
    check: bool,
) -> Call:
    """Check all that both functions take."""
    x: Any = checks.histogram(a, "a", ground.n, "rows")
    y: Any = checks.histogram(b, "b", ground.k, "columns")
    device_arguments.together(x, y, ("a", "b"))
    if ground.lies is not None:
        device_arguments.together(x, ground.lies, ("a", "cost_or_space"))
    dtype = arguments.same_dtype(x, y, ("a", "b"))
    batch = arguments.batch_shape(x.shape[:-1], y.shape[:-1], ("a", "b"))
    policy = checks.policy_of(mass)
    strict = policy == "equal" and unbalanced is None
    tolerance = arguments.tolerated(dtype, max(ground.n, ground.k)) if strict else None
    task = Task(
        ground,
        checks.strength(reg, ground),
        checks.iterations(max_iter),
        TOLERANCES[dtype.name] if tol is None else checks.positive(tol, "tol", "a marginal error such as 1e-6"),
        None if unbalanced is None else checks.positive(unbalanced, "unbalanced", "the price of marginals that differ"),
        checks.method_of(method),
        checks.scaling_factor(epsilon_scaling),
        policy == "normalize",
        dtype,
    )
    if isinstance(x, DeviceArray):
        return Call(x, y, batch, dtype, np.ones(0, bool), task, tolerance)
    good = np.broadcast_to(checks.good_rows(x, y, tolerance), batch)
    if check and not good.all():
        checks.refuse(x, y, tolerance)
    return Call(x, y, batch, dtype, good, task, tolerance)


def of_rows(good: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    """Which rows of one array, of leading axes `batch`, are in no bad pair that could spoil them."""
    extra = good.ndim - len(batch)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(batch) if size == 1 and good.shape[extra + i] != 1
    )
    return np.any(good, axis=axes, keepdims=True).reshape(batch)


def result_of(outcome: Outcome, call: Call) -> SinkhornResult:
    """Return the outcome in the caller's dtype, scalars for one pair."""

    def narrow(x: Any) -> Any:
        with np.errstate(over="ignore"):
            return x.astype(call.dtype)[()]

    return SinkhornResult(
        narrow(outcome.value),
        narrow(outcome.regularised),
        (narrow(outcome.f), narrow(outcome.g)),
        outcome.plan,
        outcome.n_iter[()],
        outcome.error[()],
        outcome.converged[()],
        narrow(outcome.grad_a),
        narrow(outcome.grad_b),
        outcome.method,
    )


def tell(outcomes: list[Any], call: Call) -> None:
    """Warn, once, of what did not go as asked for."""
    words = []
    task = call.task
    if task.method == "scaling" and any(outcome.method == "log" for outcome in outcomes):
        words.append(
            "method='scaling' became 'log': "
            + (
                "unbalanced potentials are kept as they are."
                if task.unbalanced is not None
                else f"costs differ by up to {task.ground.spread / task.reg:.3g} times reg, whose exponential "
                f"{call.dtype} cannot hold safely. Raise reg, {'' if call.dtype == np.float64 else 'pass float64, '}or "
                "leave the method to 'auto'."
            )
        )
    failed = [~outcome.converged & outcome.good for outcome in outcomes]
    count = sum(int(np.count_nonzero(rows)) for rows in failed)
    if count:
        errors = [outcome.error[rows] for outcome, rows in zip(outcomes, failed, strict=True)]
        worst = float(np.concatenate(errors, axis=None).max())
        total = sum(outcome.converged.size for outcome in outcomes)
        mends = ["raise reg", f"raise max_iter (it was {task.max_iter:,})", "raise tol"]
        mends += [] if task.factor else ["pass epsilon_scaling=True"]
        mends += ["pass float64 arrays"] if call.dtype != np.float64 else []
        words.append(
            f"{count} of {total} rows did not converge: the largest marginal error is {worst:.2g}, more than "
            f"tol={task.tol:.2g}. To mend it, {', or '.join(mends)}. Their answers say converged=False."
        )
    if words:
        warnings.warn(" ".join(words), SinkhornWarning, stacklevel=3)
