"""What other libraries make of the same entropic problems, each at settings that just reach a stated marginal error.

An opponent is set up once a problem: data in its own arrays, functions compiled. Its `solve(effort)` returns values
(rows,) and is what is timed; `plan(effort)` returns the plans that the marginal error is measured on. Efforts are
tried in order, from the cheapest on, until one reaches the target.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Problem:
    """Rows a and b (rows, n), one cost (n, n), reg, and the marginal error to be reached."""

    a: np.ndarray
    b: np.ndarray
    cost: np.ndarray
    reg: float
    target: float

    def error(self, plan: np.ndarray) -> float:
        """Return the largest marginal error of a row, as `fastemd.SinkhornResult` has it."""
        worst = 0.0
        for p, a, b in zip(plan, self.a, self.b, strict=True):
            whole = p.astype(np.float64)
            off = np.abs(whole.sum(axis=1) - a).sum() / a.sum() + np.abs(whole.sum(axis=0) - b).sum() / b.sum()
            worst = max(worst, float(off)) if math.isfinite(off) else math.inf
        return worst


@dataclass(frozen=True)
class Opponent:
    """See the module's text; `log` says whether it works in the log domain."""

    name: str
    log: bool
    solve: Callable[[Any], np.ndarray]
    plan: Callable[[Any], np.ndarray]
    efforts: Callable[[], Iterator[Any]]


def tolerances(first: float) -> Iterator[float]:
    """Stopping tolerances, each half the one before."""
    return iter([first / 2**k for k in range(6)])


def pot(problem: Problem) -> Iterator[Opponent]:
    """POT's batch solver on torch, with plain scaling and in logarithms."""
    import ot.batch
    import torch

    torch.set_num_threads(2)
    rows, n = problem.a.shape
    a, b, cost = (torch.from_numpy(x) for x in (problem.a, problem.b, problem.cost))
    costs = cost.expand(rows, n, n)

    def run(method: str, tol: float) -> Any:
        return ot.batch.solve_batch(
            costs, problem.reg, a=a, b=b, tol=tol, max_iter=20_000, method=method, grad="detach"
        )

    for method in ("sinkhorn", "log_sinkhorn"):
        yield Opponent(
            f"POT solve_batch {method}",
            method == "log_sinkhorn",
            lambda tol, method=method: run(method, tol).value_linear.numpy(),
            lambda tol, method=method: run(method, tol).plan.numpy(),
            lambda: tolerances(problem.target / math.sqrt(n)),  # it measures in the Euclidean norm
        )


def ott(problem: Problem) -> Iterator[Opponent]:
    """ott-jax, compiled, mapped over the rows with one geometry; with its adaptive momentum where that compiles."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import acceleration, sinkhorn

    a, b, cost = (jnp.asarray(x) for x in (problem.a, problem.b, problem.cost))

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def run(log: bool, start: int, tol: float) -> Any:
        ground = geometry.Geometry(cost_matrix=cost, epsilon=problem.reg)
        momentum = acceleration.Momentum(start=start) if start else None
        solver = sinkhorn.Sinkhorn(
            lse_mode=log, threshold=tol, max_iterations=20_000, inner_iterations=5, momentum=momentum
        )

        def one(x: Any, y: Any) -> Any:
            found = solver(linear_problem.LinearProblem(ground, x, y))
            return found.primal_cost, found.f, found.g

        return jax.vmap(one)(a, b)

    def plan(log: bool, start: int, tol: float) -> np.ndarray:
        _, f, g = (np.asarray(x, np.float64) for x in run(log, start, tol))
        return np.exp((f[:, :, None] + g[:, None, :] - problem.cost) / problem.reg)

    for log in (False, True):
        for start in (0, 20) if problem.a.dtype == np.float64 else (0,):  # momentum mixes dtypes in float32
            name = f"ott-jax {'log' if log else 'kernel'}{', momentum' if start else ''}"
            yield Opponent(
                name,
                log,
                lambda tol, log=log, start=start: np.asarray(run(log, start, tol)[0]),
                lambda tol, log=log, start=start: plan(log, start, tol),
                lambda: tolerances(problem.target),
            )


def geomloss(problem: Problem) -> Iterator[Opponent]:
    """The batch solver of geomloss on torch, which is told how many iterations to make."""
    import torch
    from geomloss import ot

    torch.set_num_threads(2)
    rows, n = problem.a.shape
    a, b, cost = (torch.from_numpy(x) for x in (problem.a, problem.b, problem.cost))

    def run(count: int) -> Any:
        return ot.solve_batch(cost.expand(rows, n, n), reg=problem.reg, a=a, b=b, max_iter=count)

    yield Opponent(
        "geomloss solve_batch",
        True,
        lambda count: run(count).value.numpy(),
        lambda count: run(count).plan.numpy(),
        lambda: iter([8, 16, 32, 64, 128, 256, 512]),
    )


LIBRARIES = {"POT": pot, "ott-jax": ott, "geomloss": geomloss}
INSTALL = {"POT": "pot", "ott-jax": "ott-jax", "geomloss": "geomloss"}


def opponents(problem: Problem) -> tuple[list[Opponent], dict[str, str]]:
    """Return all opponents that can be had, and why others cannot."""
    found: list[Opponent] = []
    absent = {}
    for library, make in LIBRARIES.items():
        try:
            found += make(problem)
        except ModuleNotFoundError as error:
            absent[library] = f"{error}; pip install {INSTALL[library]}"
    return found, absent
