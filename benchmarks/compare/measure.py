"""A comparison: what solvers take for a pair of histograms, and how far they are from the exact value.

Set-up, transfer and compilation are timed apart, once. Then all solvers of a case take turns (A B C A B C ...), so that
whatever else happens on the machine happens to all of them, and the median of a solver's turns counts.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastemd import reference

from ..harness.measure import timed
from . import packages
from .cases import Array, Case
from .contenders import Contender, Effort, Result, Trials
from .solver import Solver, cost_matrix

QUICK = Effort(pairs=64, few=2, seconds=0.05, turns=3, patience=0.05, limit=10.0, sizes=(10, 100, 1000))
FULL = Effort(seconds=1.0, turns=25, patience=1.5, sizes=(10, 32, 100, 316, 1000, 3162, 10_000))
# A solver's error of rounding stays below; the smallest true error here is a hundred thousand times larger.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Comparison:
    """A case, its exact values, (pairs,), and what each solver did."""

    case: Case
    exact: Array
    results: tuple[Result, ...]


def compare(
    case: Case,
    effort: Effort,
    solvers: Iterable[Solver],
    before: Callable[[Solver], object] | None = None,
    settings: Callable[[Solver], Iterable[float]] = lambda solver: solver.settings,
) -> Comparison:
    """Run solvers on a case.

    Parameters
    ----------
    case : Case
    effort : Effort
    solvers : iterable of Solver
    before : callable, optional
        Called with each solver before it is set up.
    settings : callable
        Which settings of a solver are tried, from the cheapest on; all by default.

    Returns
    -------
    Comparison
        Results in the order of solvers and settings.
    """
    solvers = tuple(solvers)
    exact = reference.emd(case.a, case.b, case.space)
    wanted = any(solver.dense and solver.unfit(case.space) is None for solver in solvers)
    costs = timed(lambda: cost_matrix(case.space) if wanted else None)
    trials = [Trials(solver, tuple(settings(solver)) or (None,), case, effort, costs) for solver in solvers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not to have converged, above all: it is in the table
        _try_settings(trials, effort, before)
        found = [each for trial in trials for each in trial.found]
        _take_turns([each for each in found if isinstance(each, Contender)], effort)
        results = [each if isinstance(each, Result) else each.result(exact) for each in found]
    return Comparison(case, exact, tuple(results))


def _try_settings(trials: list[Trials], effort: Effort, before: Callable[[Solver], object] | None) -> None:
    """Try all first settings, then all second ones, and so on: where time is short, it is so for all."""
    begin = time.perf_counter()
    for trial in trials:
        trial.begin()
    step = 0
    while any(trial.settings for trial in trials):
        for trial in trials:
            if before is not None and step == 0:
                before(trial.solver)
            if trial.settings:
                trial.try_next(late=time.perf_counter() - begin > effort.limit)
        step += 1


def _take_turns(contenders: list[Contender], effort: Effort) -> None:
    """Time the contenders in turns; one that has used up its seconds gets no more than three."""
    for turn in range(effort.turns):
        for contender in contenders:
            if turn < 3 or sum(contender.times) < effort.seconds:
                contender.turn()


def imports(solvers: Iterable[Solver]) -> dict[str, float]:
    """Return the seconds that importing each package of the solvers took, of those that are installed.

    What a package brings in with it is part of its time, unless a package before it did.
    """
    modules = dict.fromkeys(module for solver in solvers for module in solver.modules)
    return {
        packages.DISTRIBUTIONS[module]: timed(functools.partial(packages.load, module))
        for module in modules
        if packages.missing(module) is None
    }
