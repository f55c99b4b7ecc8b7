"""Solving to a marginal error: iterations and time against reg, where plain scaling breaks, and time against bins."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import ot.bregman

import fastemd as fe

from .. import runs
from . import problems

TARGET = 1e-5  # marginal error, summed over the bins, that all have to reach
LIMIT = 20_000
LOG_LIMIT = 2_000  # of POT's iterations in logarithms, each as dear as some 30 plain ones (its table shows)
RANGE_LIMIT = 5_000
PATIENCE = 2.0  # seconds: a method that took longer gets no more seeds and no larger spaces
LARGEST_MATRIX = 4_000  # bins: beyond, the kernels and their copies would take gigabytes
EXACT = "closed form"


class Solved(NamedTuple):
    """Result of a solver; `iterations` is None where it has none."""

    outcome: str
    iterations: int | None
    value: float | None


class Case(NamedTuple):
    """A pair of histograms, what it costs, and reg."""

    a: np.ndarray
    b: np.ndarray
    space: fe.Chain | fe.Tree
    cost: np.ndarray | None
    reg: float
    limit: int

    def value(self, plan: np.ndarray) -> float | None:
        """Return what a plan costs; None where it is none."""
        with np.errstate(invalid="ignore"):
            value = float((plan * self.cost).sum())
        return value if np.isfinite(value) else None


def _plain(dtype: Any, case: Case) -> Solved:
    found = problems.plain_scaling(case.a, case.b, case.cost, case.reg, dtype, TARGET, case.limit)
    with np.errstate(all="ignore"):
        plan = found.u[:, None] * np.exp(-case.cost / case.reg).astype(dtype) * found.v
    return Solved(problems.outcome(found.error, TARGET), found.iterations, case.value(plan))


def _pot(threshold: float, case: Case) -> Solved:
    with np.errstate(over="ignore"):  # of the scalings, which it makes of the potentials at the end
        plan, log = ot.bregman.sinkhorn_log(
            case.a, case.b, case.cost, case.reg, numItermax=min(case.limit, LOG_LIMIT), stopThr=threshold, warn=False,
            log=True,
        )  # fmt: skip
    done = log["err"][-1] < threshold
    return Solved("converged" if done else "ran out", int(log["niter"]) + 1, case.value(plan))


def _fastemd(on_space: bool, case: Case) -> Solved:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)
        ground = case.space if on_space else case.cost
        found = fe.sinkhorn(case.a, case.b, ground, reg=case.reg, tol=TARGET, max_iter=case.limit)
    return Solved("converged" if found.converged else "ran out", int(found.n_iter), float(found.value))


def _exact(case: Case) -> Solved:
    value, _ = fe.emd_value_and_grad(case.a, case.b, case.space)
    return Solved("converged", None, float(value))


DENSE = ("plain float32", "plain float64", "POT in logarithms", "fastemd on the matrix")
METHODS = (*DENSE, "fastemd on the space", EXACT)


def solver(method: str, threshold: float) -> Callable[[Case], Solved]:
    """Return the solver of a name; `threshold` is the Euclidean norm that POT stops at."""
    return {
        "plain float32": functools.partial(_plain, np.float32),
        "plain float64": functools.partial(_plain, np.float64),
        "POT in logarithms": functools.partial(_pot, threshold),
        "fastemd on the matrix": functools.partial(_fastemd, False),
        "fastemd on the space": functools.partial(_fastemd, True),
        EXACT: _exact,
    }[method]


def euclidean_target(case: Case) -> float:
    """The norm at which POT has to stop: that of the plain iteration at `TARGET`, since both make the same steps.

    Where plain scaling does not get there, the norm that is `TARGET` in sum at worst.
    """
    found = problems.plain_scaling(case.a, case.b, case.cost, case.reg, np.float64, TARGET, case.limit)
    return found.euclidean if found.error <= TARGET else TARGET / np.sqrt(len(case.a))


def speed(name: str, space: fe.Chain | fe.Tree, kind: str, seed: int, regs: Sequence[float], limit: int):
    """Yield a record for each reg and method, and one of the closed form."""
    a, b = problems.pair(seed, space, kind)
    cost = space.cost_matrix()
    where = {"question": "speed", "space": name, "kind": kind, "seed": seed}
    for reg in regs:
        case = Case(a, b, space, cost, reg, limit)
        threshold = euclidean_target(case)
        for method in METHODS:
            if method == EXACT and reg != regs[0]:
                continue
            found, took = problems.seconds(functools.partial(solver(method, threshold), case))
            yield where | {"reg": None if method == EXACT else reg, "method": method, "outcome": found.outcome} | {
                "iterations": found.iterations, "seconds": took
            }  # fmt: skip


def ranges(name: str, space: fe.Chain | fe.Tree, kind: str, seed: int, regs: Sequence[float], limit: int):
    """Yield, for each reg and dtype, whether plain scaling broke, at which iteration, and by what."""
    a, b = problems.pair(seed, space, kind)
    cost = space.cost_matrix()
    for dtype in ("float32", "float64"):
        for reg in regs:
            found = problems.plain_scaling(a, b, cost, reg, dtype, TARGET, min(limit, RANGE_LIMIT))
            how = problems.outcome(found.error, TARGET)
            broke = how == "broke"
            yield {"question": "range", "space": name, "kind": kind, "seed": seed, "reg": reg, "dtype": dtype} | {
                "outcome": how, "iterations": found.iterations,
                "by": problems.what_broke(a, b, cost, reg, dtype, found.iterations) if broke else None,
            }  # fmt: skip


class Growth:
    """Time against the number of bins; it remembers which methods have run out of patience, and why they stop."""

    def __init__(self, reg: float, seeds: int, limit: int) -> None:
        self.reg, self.seeds, self.limit = reg, seeds, limit
        self.stopped: list[runs.Record] = []

    def at(self, name: str, n: int):
        """Yield a record for each seed and method that is still in."""
        space = problems.grown(name, n)
        for seed in range(self.seeds):
            a, b = problems.pair(seed, space, "peaked")
            cost = space.cost_matrix() if n <= LARGEST_MATRIX else None
            case = Case(a, b, space, cost, self.reg, self.limit)
            exact = _exact(case).value
            threshold = self._threshold(name, n, case)
            for method in METHODS[1:]:
                if not self._is_in(name, n, method):
                    continue
                found, took = problems.seconds(functools.partial(solver(method, threshold), case))
                yield {"question": "growth", "space": name, "n": n, "seed": seed, "method": method} | {
                    "outcome": found.outcome, "iterations": found.iterations, "seconds": took,
                    "value_error": abs(found.value / exact - 1) if found.value is not None else None,
                }  # fmt: skip
                if took > PATIENCE:
                    self._stop(name, n, method, f"a solve took {took:.1f} s")

    def _threshold(self, name: str, n: int, case: Case) -> float:
        return euclidean_target(case) if self._is_in(name, n, "POT in logarithms") else TARGET

    def _is_in(self, name: str, n: int, method: str) -> bool:
        if any(one["space"] == name and one["method"] == method for one in self.stopped):
            return False
        if method in DENSE and n > LARGEST_MATRIX:
            self._stop(name, n, method, f"its matrix would have {n:,} × {n:,} entries")
            return False
        return True

    def _stop(self, name: str, n: int, method: str, why: str) -> None:
        self.stopped.append({"space": name, "n": n, "method": method, "why": why})
