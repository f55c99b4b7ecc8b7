"""The time that solvers take for a pair of histograms, and how far they are from the exact value."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from .. import reference
from .cases import Array, Case
from .solvers import SOLVERS, Solver

# A solver's error of rounding stays below; the smallest true error here is a hundred thousand times larger.
ROUNDING = 1e-9
PROBE = 64  # pairs in the first call of a solver that takes a batch
MOST_RUNS = 101


@dataclass(frozen=True)
class Effort:
    """How much a comparison measures.

    Attributes
    ----------
    pairs : int
        Pairs of histograms for each case.
    seconds : float
        What the timed runs of a solver may take together. A slow solver is timed on fewer pairs.
    runs : int
        The least number of timed runs, of which the median counts.
    """

    pairs: int = 2048
    seconds: float = 1.5
    runs: int = 5


QUICK = Effort(pairs=64, seconds=0.1, runs=3)


@dataclass(frozen=True)
class Result:
    """What a solver did on a case.

    Attributes
    ----------
    solver, note : str
    exact : bool
        Whether the solver claims to be exact up to rounding.
    status : {"timed", "not possible"}
        If not "timed", `note` says why, and the numbers are missing.
    seconds_per_pair : float, optional
        Median over the runs, set-up not included.
    largest_error, median_error : float, optional
        Relative to the exact value; over the pairs.
    pairs, runs : int
    unconverged : int
        Pairs on which an iterative solver gave up.
    setup_seconds : float, optional
        Preparation (cost matrix) and the first call (which compiles, or loads what was compiled before, and imports).
    """

    solver: str
    exact: bool
    status: str
    note: str
    seconds_per_pair: float | None = None
    largest_error: float | None = None
    median_error: float | None = None
    pairs: int = 0
    runs: int = 0
    unconverged: int = 0
    setup_seconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A case, its exact values, (pairs,), and what each solver did."""

    case: Case
    exact: Array
    results: tuple[Result, ...]


def compare(
    case: Case, effort: Effort, solvers: Iterable[Solver] = SOLVERS, before: Callable[[Solver], object] | None = None
) -> Comparison:
    """Run solvers on a case.

    Parameters
    ----------
    case : Case
    effort : Effort
    solvers : iterable of Solver
    before : callable, optional
        Called with each solver before it is run.

    Returns
    -------
    Comparison
    """
    exact = reference.emd(case.a, case.b, case.space)
    return Comparison(case, exact, tuple(_results(case, exact, effort, solvers, before)))


def _results(
    case: Case, exact: Array, effort: Effort, solvers: Iterable[Solver], before: Callable[[Solver], object] | None
) -> Iterator[Result]:
    for solver in solvers:
        if before is not None:
            before(solver)
        obstacle = solver.obstacle(case.space)
        if obstacle is not None:
            yield Result(solver.name, solver.exact, "not possible", obstacle)
        else:
            yield measure(solver, case, exact, effort)


def measure(solver: Solver, case: Case, exact: Array, effort: Effort) -> Result:
    """Time a solver on as many of the pairs as the effort allows, and compare its values with the exact ones."""
    tried = min(PROBE, len(exact)) if solver.batched else 1
    start = time.perf_counter()
    solve = solver.prepare(case.space)
    solve(case.a[:tried], case.b[:tried])
    setup = time.perf_counter() - start

    start = time.perf_counter()
    solve(case.a[:tried], case.b[:tried])
    each = (time.perf_counter() - start) / tried
    pairs = min(len(exact), max(tried, int(effort.seconds / (effort.runs * each))))
    runs = min(MOST_RUNS, max(effort.runs, int(effort.seconds / (pairs * each))))
    a, b = case.a[:pairs], case.b[:pairs]

    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        answer = solve(a, b)
        seconds.append(time.perf_counter() - start)
    error = np.abs(answer.values - exact[:pairs]) / exact[:pairs]
    return Result(
        solver=solver.name,
        exact=solver.exact,
        status="timed",
        note=solver.note,
        seconds_per_pair=median(seconds) / pairs,
        largest_error=float(np.max(error)),
        median_error=float(np.median(error)),
        pairs=pairs,
        runs=runs,
        unconverged=0 if answer.converged is None else int(np.sum(~answer.converged)),
        setup_seconds=setup,
    )
