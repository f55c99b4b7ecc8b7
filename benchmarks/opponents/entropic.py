"""Sinkhorn in other libraries, each at settings that just reach a stated marginal error.

An opponent is set up once a problem: data in its own arrays, functions compiled. Its `solve(effort)` returns values
(rows,) and is what is timed; `plan(effort)` returns the plans that the marginal error is measured on. Efforts are
tried in order, from the cheapest on, until one reaches the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compare import entropic, formulas, packages

MOST_ITERATIONS = 20_000


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
    import torch

    packages.load("ot")
    torch.set_num_threads(2)
    rows, n = problem.a.shape
    a, b, cost = (torch.from_numpy(x) for x in (problem.a, problem.b, problem.cost))
    costs = cost.expand(rows, n, n)

    def run(method: str, tol: float) -> Any:
        return entropic.pot_batch_call(a, b, costs, problem.reg, tol, method, MOST_ITERATIONS)

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
    jnp = formulas.double_precision().numpy
    packages.load("ott")
    a, b, cost = (jnp.asarray(x) for x in (problem.a, problem.b, problem.cost))

    def run(log: bool, start: int, tol: float) -> Any:
        return entropic.ott_call(log, start, MOST_ITERATIONS)(a, b, cost, problem.reg, tol)

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
    """The batch solver of geomloss on torch, which makes a given number of iterations."""
    import torch

    packages.load("geomloss")
    torch.set_num_threads(2)
    rows, n = problem.a.shape
    a, b, cost = (torch.from_numpy(x) for x in (problem.a, problem.b, problem.cost))

    def run(count: int) -> Any:
        return entropic.geomloss_call(a, b, cost.expand(rows, n, n), problem.reg, count)

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
        except ImportError as error:
            absent[library] = f"{error}; pip install {INSTALL[library]}"
    return found, absent
