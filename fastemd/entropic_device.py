"""Sinkhorn's functions for arrays on a CUDA device: what the wing is handed, and answers of the caller's library."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import device, verdicts
from . import entropic_arguments as checks
from .device import DeviceArray, given
from .entropic_calls import Call
from .entropic_problem import PLAIN, Task, method_of, stages
from .results import DivergenceResult, SinkhornResult

FLOAT64, COUNT, FLAG = np.dtype(np.float64), np.dtype(np.int64), np.dtype(bool)
NONE = np.ones(0, bool)


class Told(NamedTuple):
    """What `fastemd.entropic_calls.tell` looks at, fetched from the device; nothing without `check`."""

    converged: np.ndarray
    good: np.ndarray
    error: np.ndarray
    method: str


def sinkhorn(call: Call, potentials: Any, plan: bool, check: bool) -> tuple[SinkhornResult, list[Told]]:
    """Return the result of a call whose a and b lie on a device, and what there is to tell of it."""
    ground = call.task.ground
    start = checks.warm_on_device(potentials, ((*call.batch, ground.n), (*call.batch, ground.k)), call.a)
    found = _answers(call, call.batch, call.dtype, plan)
    _run(call, call.a, call.b, start, found, False, check)
    _settle(call, start)
    scalars = [given(x) for x in (found.value, found.regularised, found.n_iter, found.error, found.converged)]
    value, regularised, n_iter, error, converged = scalars
    method = method_of(call.task)
    result = SinkhornResult(
        value,
        regularised,
        (given(found.f), given(found.g)),
        None if found.plan is None else given(found.plan),
        n_iter,
        error,
        converged,
        given(found.grad_a),
        given(found.grad_b),
        method,
    )
    return result, [_told(found, method, check)]


def divergence(call: Call, check: bool) -> tuple[DivergenceResult, list[Told]]:
    """Return the divergence of a call whose a and b lie on a device, and what there is to tell of it."""
    from .cuda import entropic_wing as wing
    from .cuda.outcomes import DEBIASED, LARGEST, LEAST

    parts = []
    for x, y in ((call.a, call.b), (call.a, call.a), (call.b, call.b)):
        same = x is y
        part = _answers(call, x.shape[:-1] if same else call.batch, FLOAT64, False)
        _run(call, x, y, None, part, same, check)
        parts.append(part)
    pair, self_a, self_b = parts

    def together(arrays: list[Any], dtype: Any, how: int) -> Any:
        out = device.empty(call.a, arrays[0].shape, dtype)
        columns = [_as_columns(x) for x in (*arrays, out)] if arrays[0].ndim == len(call.batch) else [*arrays, out]
        wing.combine(*columns, how)
        return out

    def over(name: str, dtype: Any, how: int) -> Any:
        return together([getattr(part, name) for part in parts], dtype, how)

    answers = [
        over("regularised", call.dtype, DEBIASED),
        together([pair.grad_a, self_a.grad_a, self_a.grad_b], call.dtype, DEBIASED),
        together([pair.grad_b, self_b.grad_a, self_b.grad_b], call.dtype, DEBIASED),
        over("n_iter", COUNT, LARGEST),
        over("error", FLOAT64, LARGEST),
        over("converged", FLAG, LEAST),
    ]
    _settle(call, None)  # before answers are handed on: a library may copy what it is lent
    return DivergenceResult(*map(given, answers)), [_told(part, method_of(call.task), check) for part in parts]


def _as_columns(x: DeviceArray) -> DeviceArray:
    """Return an array with an axis of one column more."""
    return x._replace(shape=(*x.shape, 1), strides=(*x.strides, x.dtype.itemsize))


def _answers(call: Call, batch: tuple[int, ...], dtype: Any, plan: bool) -> Any:
    """Return new arrays for the answers to rows."""
    from .cuda.entropic_wing import Found

    n, k = call.task.ground.n, call.task.ground.k

    def empty(kind: Any, *columns: int) -> DeviceArray:
        return device.empty(call.a, (*batch, *columns), kind)

    return Found(
        empty(dtype),
        empty(dtype),
        empty(dtype, n),
        empty(dtype, k),
        empty(dtype, n),
        empty(dtype, k),
        empty(COUNT),
        empty(FLOAT64),
        empty(FLAG),
        empty(dtype, n, k) if plan else None,
    )


def _run(call: Call, a: Any, b: Any, start: Any, found: Any, same: bool, check: bool) -> None:
    """Have the wing solve; under `check`, raise for a bad row."""
    from .cuda import entropic_wing as wing

    task = call.task
    ground, space = task.ground, task.ground.space
    tolerance = math.inf if same or call.tolerance is None else call.tolerance
    job = wing.Job(
        space,
        ground.matrix,
        ground.n,
        ground.k,
        float(ground.least),
        [wing.Stage(reg, _form(task, reg)) for reg in stages(task)],
        task.max_iter,
        task.tol,
        tolerance,
        0.0 if task.unbalanced is None else task.unbalanced,
        task.normalize,
    )
    if not wing.run(job, a, b, start, found, same, check):
        _refuse(call, start)


def _form(task: Task, reg: float) -> str:
    """Return how sums are made: over a walk along a space, by matrix products, or from exponentials of each entry."""
    wide = task.dtype == np.float64
    if task.ground.space is not None:
        return task.ground.space.kind
    if method_of(task) == "scaling":
        return "float64" if wide else "float32"
    if task.ground.spread <= PLAIN * reg:
        return "float64"
    return "wide" if wide else "narrow"


def _refuse(call: Call, start: Any) -> None:
    """Raise for the first bad row, after copying the rows to host memory."""
    a, b = device.to_host(call.a), device.to_host(call.b)
    if not checks.good_rows(a, b, call.tolerance).all():
        checks.refuse(a, b, call.tolerance)
    for i, z in enumerate(start or ()):
        checks.finite(device.to_host(z), f"potentials[{i}]")
    verdicts.refuse_the_rest(np.full(call.batch, np.nan))


def _settle(call: Call, start: Any) -> None:
    """Wait where memory was borrowed, whose lender would not wait."""
    device.settle(call.a, call.b, *(start or ()))


def _told(found: Any, method: str, check: bool) -> Told:
    if not check:
        return Told(NONE, NONE, np.ones(0), method)
    converged = device.to_host(found.converged).astype(bool)
    return Told(converged, np.ones_like(converged), device.to_host(found.error), method)
