"""Solvers at equal accuracy: the cheapest setting of each that reaches a stated error."""

from __future__ import annotations

from collections.abc import Iterable

from .contenders import Result

ERRORS = (0.1, 0.01, 0.001)
SHOWN = 0.01  # the table of a case shows an entropic solver where its error falls below


def timed(results: Iterable[Result]) -> list[Result]:
    """Return those that were timed."""
    return [result for result in results if result.status == "timed"]


def cheapest(results: Iterable[Result], error: float) -> Result | None:
    """Return the fastest of a solver's settings whose median error is at most the stated one, or None."""
    reached = [result for result in timed(results) if result.median_error is not None and result.median_error <= error]
    return min(reached, key=lambda result: result.seconds_per_pair or 0.0, default=None)


def by_solver(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results of each solver, in their order."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.solver, []).append(result)
    return found


def shown(results: Iterable[Result]) -> list[Result]:
    """Return one result of each solver that was timed: at 1 %, or else at the most exact setting that was."""
    found = []
    for own in map(timed, by_solver(results).values()):
        if own:
            found.append(cheapest(own, SHOWN) or min(own, key=_error))
    return found


def _error(result: Result) -> float:
    """The median error, NaN being the worst."""
    error = result.median_error
    return float("inf") if error is None or error != error else error


def equal_accuracy(results: Iterable[Result]) -> dict[str, list[Result | None]]:
    """Return for each solver that was timed the cheapest result for each of `ERRORS`, None where none reaches it."""
    return {
        solver: [cheapest(own, error) for error in ERRORS] for solver, own in by_solver(results).items() if timed(own)
    }
