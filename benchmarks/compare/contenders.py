"""Solvers that are ready to be timed, and the settings of each that are tried as far as time allows."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from ..harness import measure
from ..harness.memory import peak_of
from .cases import Array, Case
from .solver import STOP, Ready, Solver

PROBE = 64  # pairs in the first call of an exact solver that takes a batch
GROWTH = 3.3  # a call's time grows by, where the regularisation becomes a third: iterations go as its inverse


@dataclass(frozen=True)
class Effort:
    """The amount that a comparison measures.

    Attributes
    ----------
    pairs : int
        Pairs of histograms for each case. A slow exact solver is timed on fewer.
    few : int
        Pairs for entropic solvers: the first ones, the same for all of them.
    seconds : float
        What the turns of a solver may take together; three turns it gets anyway.
    turns : int
        Turns at most.
    patience : float
        Seconds. A smaller regularisation, or more bins, are tried only where a call is not expected to take longer.
    limit : float
        Seconds that setting up all solvers of a case may take; what is left then is not tried.
    sizes : tuple of int
        Bins of the chains on which time is measured against their number.
    """

    pairs: int = 2048
    few: int = 8
    seconds: float = 0.1
    turns: int = 9
    patience: float = 0.2
    limit: float = math.inf
    sizes: tuple[int, ...] = (10, 100, 1000, 10_000)


@dataclass(frozen=True)
class Result:
    """Result of a solver on a case, at one of its settings.

    Attributes
    ----------
    solver, note : str
    setting : float, optional
        Regularisation as a share of the largest cost. None: the solver has no settings.
    status : {"timed", "missing", "does not apply", "not tried", "failed"}
        If not "timed", `note` says why, and the numbers are missing.
    exact : bool
        Whether the solver claims to be exact up to rounding.
    pairs, turns : int
    seconds_per_pair : float, optional
        Median over the turns of the call itself: set-up, transfer and compilation not included.
    median_error, largest_error : float, optional
        Relative to the exact value; over the pairs. None, although it was timed: not a number, or infinite.
    marginal_error : float, optional
        The largest of a pair, of iterative solvers: what both marginals are off by, relative to the mass.
    unconverged : int
        Pairs on which an iterative solver's marginals are off by more than it was asked for, or not finite.
    setup_seconds, transfer_seconds, compile_seconds : float, optional
        Cost matrix and tables, once a space; bringing a pair into the solver's own arrays; what the first call takes
        longer than the next one. Imports count nowhere: they are timed before all.
    memory_bytes : int, optional
        How far memory rises during a call, divided by the pairs that the call is given at once.
    """

    solver: str
    setting: float | None
    status: str
    note: str
    exact: bool
    pairs: int = 0
    turns: int = 0
    seconds_per_pair: float | None = None
    median_error: float | None = None
    largest_error: float | None = None
    marginal_error: float | None = None
    unconverged: int = 0
    setup_seconds: float | None = None
    transfer_seconds: float | None = None
    compile_seconds: float | None = None
    memory_bytes: float | None = None


@dataclass
class Contender:
    """A solver that is ready for its turns: its data are transferred, its code is compiled."""

    solver: Solver
    setting: float | None
    ready: Ready
    data: tuple[Any, ...]
    pairs: int
    once: float  # seconds that a call takes
    spent: dict[str, Any]
    times: list[float] = field(default_factory=list)
    found: Any = None

    def turn(self) -> None:
        """Note the time of a call, and keep the answer of the last one."""
        self.found = None
        self.times.append(measure.turn(self._call, measure.calls_in_a_turn(self.once)))

    def _call(self) -> None:
        self.found = self.ready.run(*self.data)

    def result(self, exact: Array) -> Result:
        """Compare the values of the last turn with the exact ones."""
        answer = self.ready.read(self.found, *self.data)
        error = np.abs(answer.values - exact[: self.pairs]) / exact[: self.pairs]
        found = Result(
            solver=self.solver.name,
            setting=self.setting,
            status="timed",
            note=self.solver.note,
            exact=self.solver.exact,
            pairs=self.pairs,
            turns=len(self.times),
            seconds_per_pair=median(self.times) / self.pairs,
            median_error=_finite(np.median(error)),
            largest_error=_finite(np.max(error)),
            **self.spent,
        )
        peak = peak_of(lambda: self.ready.run(*self.data))
        if peak is not None:
            found = replace(found, memory_bytes=peak / (self.pairs if self.solver.batched else 1))
        if answer.marginal_error is None or self.setting is None:
            return found
        # Rounding, where libraries look at their marginals before the last of their steps.
        kept = answer.marginal_error <= 1.01 * STOP * self.setting
        return replace(found, marginal_error=_finite(np.max(answer.marginal_error)), unconverged=int(np.sum(~kept)))


@dataclass
class Trials:
    """A solver's settings on a case, from the cheapest on, and what came of those that were tried.

    `setup` is what is to be added to the set-up of a solver that wants the costs of all pairs of bins.
    """

    solver: Solver
    settings: tuple[float | None, ...]
    case: Case
    effort: Effort
    setup: float
    found: list[Result | Contender] = field(default_factory=list)
    expected: float = 0.0

    def begin(self) -> None:
        """See whether the solver applies and is installed."""
        unfit, lack = self.solver.unfit(self.case.space), self.solver.missing()
        if unfit is not None:
            self._end(None, "does not apply", unfit)
        elif lack is not None:
            self._end(None, "missing", lack)

    def try_next(self, late: bool) -> None:
        """Try the next setting; `late` where there is no time left for it."""
        setting, self.settings = self.settings[0], self.settings[1:]
        if late:
            self._note(setting, "not tried", "the time of this run was up")
        elif self.expected > self.effort.patience:
            self._note(setting, "not tried", f"a call is expected to take {self.expected:.2g} s")
        else:
            try:
                contender = _prepare(self.solver, setting, self.case, self.effort, self.setup)
            except Exception as error:  # a library that fails must not end the comparison of the others
                words = str(error).strip().splitlines()[:1]
                self._end(setting, "failed", ": ".join([type(error).__name__, *words])[:200])
            else:
                self.found.append(contender)
                self.expected = GROWTH * contender.once

    def _note(self, setting: float | None, status: str, why: str) -> None:
        self.found.append(Result(self.solver.name, setting, status, why, self.solver.exact))

    def _end(self, setting: float | None, status: str, why: str) -> None:
        self._note(setting, status, why)
        self.settings = ()


def _prepare(solver: Solver, setting: float | None, case: Case, effort: Effort, setup: float) -> Contender:
    """Set a solver up, choose how many pairs it gets, and compile."""
    begin = time.perf_counter()
    ready = solver.ready(case.space, setting)
    setup = time.perf_counter() - begin + (setup if solver.dense else 0.0)

    most = len(case.a) if solver.exact else min(effort.few, len(case.a))
    pairs = min(most, PROBE if solver.exact and solver.batched else 1 if solver.exact else most)
    data, transfer = _transferred(ready, case, pairs)
    first = measure.timed(lambda: ready.run(*data))
    once = measure.timed(lambda: ready.run(*data))
    compiling = max(0.0, first - once)
    if solver.exact:
        wanted = min(most, max(pairs, int(effort.seconds / (5 * max(once, 1e-9) / pairs))))
        if wanted > pairs:
            pairs = wanted
            data, transfer = _transferred(ready, case, pairs)
            ready.run(*data)  # some compile anew for another number of pairs
            once = measure.timed(lambda: ready.run(*data))
    spent = {"setup_seconds": setup, "transfer_seconds": transfer / pairs, "compile_seconds": compiling}
    return Contender(solver, setting, ready, data, pairs, once, spent)


def _transferred(ready: Ready, case: Case, pairs: int) -> tuple[tuple[Any, ...], float]:
    a, b = case.a[:pairs], case.b[:pairs]
    begin = time.perf_counter()
    data = ready.transfer(a, b)
    return data, time.perf_counter() - begin


def _finite(number: float) -> float | None:
    """JSON has no other numbers."""
    return float(number) if np.isfinite(number) else None
