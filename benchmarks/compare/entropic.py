"""Entropic solvers: fastemd's, and those of POT, ott-jax and geomloss, each asked for the cost of its plan.

All get the same regularisation, a share of the largest cost, and the same bound on what the marginals may be off by.
Those of a cost matrix are shown the bins with mass only. The calls into other libraries are also those of
``python -m benchmarks sinkhorn``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastemd.reference.flows import Space

from . import packages
from .formulas import THREADS, double_precision
from .solver import (
    EVERYWHERE,
    LOG,
    MOST_ITERATIONS,
    SCALING,
    STOP,
    Answer,
    Array,
    Ready,
    Solver,
    cost_matrix,
    filled,
    off,
    stacked,
)


def fastemd_space(space: Space, share: float) -> Ready:
    """On the space itself: O(n) an iteration."""
    from fastemd import sinkhorn

    call = functools.partial(sinkhorn, reg=share * space.diameter, tol=STOP * share, max_iter=MOST_ITERATIONS)
    return Ready(
        lambda a, b: (a, b),
        lambda a, b: call(a, b, space),
        lambda result, *_: Answer(result.value, result.marginal_error),
    )


def fastemd_dense(space: Space, share: float) -> Ready:
    """On a matrix, which all pairs share: of the bins that hold mass in one of them."""
    from fastemd import sinkhorn

    cost, reg, tol = cost_matrix(space), share * space.diameter, STOP * share
    call = functools.partial(sinkhorn, reg=reg, tol=tol, max_iter=MOST_ITERATIONS)

    def transfer(a: Array, b: Array) -> tuple[Array, Array, Array]:
        rows, columns = np.flatnonzero(a.any(axis=0)), np.flatnonzero(b.any(axis=0))
        return np.ascontiguousarray(a[:, rows]), np.ascontiguousarray(b[:, columns]), cost[np.ix_(rows, columns)]

    return Ready(transfer, call, lambda result, *_: Answer(result.value, result.marginal_error))


def pot_sinkhorn2(method: str) -> Callable[[Space, float], Ready]:
    """Return the preparation of ``ot.sinkhorn2``, which is called for each pair."""

    def prepare(space: Space, share: float) -> Ready:
        sinkhorn2, cost, reg = packages.load("ot").sinkhorn2, cost_matrix(space), share * space.diameter

        def transfer(a: Array, b: Array) -> tuple[list[tuple[Array, Array, Array]]]:
            return ([filled(x, y, cost) for x, y in zip(a, b, strict=True)],)

        def run(pairs: list[tuple[Array, Array, Array]]) -> list[Any]:
            return [
                sinkhorn2(
                    a, b, costs, reg, method, MOST_ITERATIONS, _euclidean(STOP * share, costs), log=True, warn=False
                )
                for a, b, costs in pairs
            ]

        def read(found: list[Any], pairs: list[tuple[Array, Array, Array]]) -> Answer:
            values, errors = [], []
            for (value, log), (a, b, costs) in zip(found, pairs, strict=True):
                u, v = (log[f"log_{x}"] if method == "sinkhorn_log" else np.log(log[x]) for x in "uv")
                values.append(float(value))
                errors.append(off(np.exp(u[:, np.newaxis] + v - costs / reg)[np.newaxis], a[np.newaxis], b[np.newaxis]))
            return Answer(np.array(values), np.concatenate(errors))

        return Ready(transfer, run, read)

    return prepare


def _euclidean(error: float, costs: Array) -> float:
    """POT measures in the Euclidean norm, of which the sum of what is off is at most sqrt(n) times as large."""
    return error / math.sqrt(max(costs.shape[-2:]))


def pot_batch_call(a: Any, b: Any, costs: Any, reg: float, tol: float, method: str, most: int) -> Any:
    """POT's batch solver; `method` is "sinkhorn" or "log_sinkhorn"."""
    solve_batch = packages.load("ot.batch").solve_batch
    return solve_batch(costs, reg, a=a, b=b, tol=tol, max_iter=most, method=method, grad="detach")


def pot_batch(space: Space, share: float) -> Ready:
    """All pairs by scaling, on numpy, which is faster at it than torch is."""
    cost, reg = cost_matrix(space), share * space.diameter

    def run(a: Array, b: Array, costs: Array) -> Any:
        return pot_batch_call(a, b, costs, reg, _euclidean(STOP * share, costs), "sinkhorn", MOST_ITERATIONS)

    return Ready(
        lambda a, b: stacked(a, b, cost),
        run,
        lambda found, a, b, _: Answer(found.value_linear, off(found.plan, a, b)),
    )


def pot_batch_log(space: Space, share: float) -> Ready:
    """All pairs in logarithms, on torch, which is faster at it than numpy is."""
    cost, reg = cost_matrix(space), share * space.diameter

    def run(a: Any, b: Any, costs: Any) -> Any:
        return pot_batch_call(a, b, costs, reg, _euclidean(STOP * share, costs), "log_sinkhorn", MOST_ITERATIONS)

    def read(found: Any, a: Any, b: Any, _: Any) -> Answer:
        return Answer(found.value_linear.numpy(), off(found.plan.numpy(), a.numpy(), b.numpy()))

    return Ready(_tensors(cost), run, read)


def _tensors(cost: Array) -> Callable[[Array, Array], tuple[Any, ...]]:
    torch = packages.load("torch")
    torch.set_num_threads(THREADS)
    return lambda a, b: tuple(map(torch.from_numpy, stacked(a, b, cost)))


@functools.cache  # one compilation serves all settings
def ott_call(log: bool, momentum: int, most: int) -> Callable[..., Any]:
    """Return ott-jax, compiled, over rows: a, b, costs (rows, n, m) or (n, m), reg, tol; costs of plans, f and g.

    `momentum` is the iteration at which its adaptive over-relaxation begins, 0 for none.
    """
    jax, geometry = packages.load("jax"), packages.load("ott.geometry.geometry")
    problems = packages.load("ott.problems.linear.linear_problem")
    solvers, accelerations = (packages.load(f"ott.solvers.linear.{name}") for name in ("sinkhorn", "acceleration"))

    def solve(a: Any, b: Any, costs: Any, reg: float, tol: float) -> Any:
        solver = solvers.Sinkhorn(
            lse_mode=log,
            threshold=tol,
            max_iterations=most,
            inner_iterations=5,
            momentum=accelerations.Momentum(start=momentum) if momentum else None,
        )

        def one(x: Any, y: Any, cost: Any) -> Any:
            ground = geometry.Geometry(cost_matrix=cost, epsilon=reg)
            found = solver(problems.LinearProblem(ground, x, y))
            return found.primal_cost, found.f, found.g

        return jax.vmap(one, in_axes=(0, 0, 0 if costs.ndim == 3 else None))(a, b, costs)

    return jax.jit(solve)


def ott(log: bool, momentum: int = 0) -> Callable[[Space, float], Ready]:
    """Return the preparation of ott-jax."""

    def prepare(space: Space, share: float) -> Ready:
        jax, cost, reg = double_precision(), cost_matrix(space), share * space.diameter
        call = ott_call(log, momentum, MOST_ITERATIONS)

        def transfer(a: Array, b: Array) -> tuple[Any, ...]:
            return tuple(jax.block_until_ready([jax.numpy.asarray(x) for x in stacked(a, b, cost)]))

        def run(a: Any, b: Any, costs: Any) -> Any:
            return jax.block_until_ready(call(a, b, costs, reg, STOP * share))

        def read(found: Any, *data: Any) -> Answer:
            (values, f, g), (a, b, costs) = (tuple(map(np.asarray, arrays)) for arrays in (found, data))
            plan = np.exp((f[:, :, np.newaxis] + g[:, np.newaxis] - costs) / reg)
            return Answer(values, off(plan, a, b))

        return Ready(transfer, run, read)

    return prepare


def geomloss_call(a: Any, b: Any, costs: Any, reg: float, iterations: int) -> Any:
    """The batch solver of geomloss, which makes a given number of iterations."""
    return packages.load("geomloss.ot").solve_batch(costs, reg=reg, a=a, b=b, max_iter=iterations)


def geomloss(space: Space, share: float) -> Ready:
    """All pairs, for as many iterations as the regularisation is likely to need; the library has no other stop."""
    cost, reg = cost_matrix(space), share * space.diameter

    def run(a: Any, b: Any, costs: Any) -> Any:
        plan = geomloss_call(a, b, costs, reg, round(ITERATIONS / share)).plan
        return (plan * costs).sum((1, 2)), plan  # its own value includes the entropy

    def read(found: Any, a: Any, b: Any, _: Any) -> Answer:
        return Answer(found[0].numpy(), off(found[1].numpy(), a.numpy(), b.numpy()))

    return Ready(_tensors(cost), run, read)


def _solver(
    name: str, modules: tuple[str, ...], prepare: Callable[..., Ready], note: str, settings: tuple[float, ...]
) -> Solver:
    one_by_one = "sinkhorn2" in name
    return Solver(name, modules, EVERYWHERE, prepare, note, settings, batched=not one_by_one, dense=True)


ITERATIONS = 2  # of geomloss, times largest cost / regularisation
OTT = ("ott", "jax")
ENTROPIC = (
    Solver(
        "fastemd.sinkhorn, space", ("fastemd",), EVERYWHERE, fastemd_space, "sinkhorn(a, b, space)", LOG, batched=True
    ),
    _solver("fastemd.sinkhorn, matrix", ("fastemd",), fastemd_dense, "sinkhorn(a, b, cost)", LOG),
    _solver("POT sinkhorn2", ("ot",), pot_sinkhorn2("sinkhorn"), "ot.sinkhorn2 on each pair", SCALING),
    _solver("POT sinkhorn2, log", ("ot",), pot_sinkhorn2("sinkhorn_log"), 'method="sinkhorn_log"', LOG),
    _solver("POT batch", ("ot",), pot_batch, "ot.batch.solve_batch on numpy", SCALING),
    _solver("POT batch, log", ("ot", "torch"), pot_batch_log, "ot.batch.solve_batch on torch", LOG),
    _solver("ott-jax", OTT, ott(log=False), "Sinkhorn(lse_mode=False), jit and vmap", SCALING),
    _solver("ott-jax, log", OTT, ott(log=True), "Sinkhorn(lse_mode=True), jit and vmap", LOG),
    _solver("ott-jax, log, momentum", OTT, ott(log=True, momentum=20), "with acceleration.Momentum", LOG),
    _solver("geomloss, log", ("geomloss", "torch"), geomloss, "geomloss.ot.solve_batch on torch", LOG),
)
