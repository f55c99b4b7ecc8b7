"""Time against the number of bins: smooth histograms on chains of different lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from fastemd.spaces import Chain

from .cases import Case
from .contenders import Effort
from .measure import Comparison, compare
from .solver import Solver

SHARE = 0.01  # regularisation of entropic solvers
PAIRS, FEW = 64, 2  # of exact and of entropic solvers
SMALL = 100  # bins: below, what a matrix of costs takes is mostly the calls and not its entries
LARGEST = 2**27  # bytes of a matrix of costs: a chain of 4,096 bins


def chain(n: int, seed: int) -> Case:
    """Pairs of histograms on a chain of n bins, mixtures of three bumps each, positive everywhere.

    Their distance is about the same share of the chain's length at any n, and so is the regularisation's error.
    """
    at = (np.arange(n) + 0.5) / n
    rng = np.random.default_rng(seed)
    centre, width = rng.random((2, PAIRS, 3, 1)), rng.uniform(0.03, 0.15, size=(2, PAIRS, 3, 1))
    density = np.exp(-(((at - centre) / width) ** 2) / 2).sum(axis=2) + 1e-3
    a, b = density / density.sum(axis=-1, keepdims=True)
    return Case(f"chain of {n}", f"Smooth histograms on {n:,} bins", "bins", Chain(n), a, b, ("a", "b"))


def compare_sizes(
    effort: Effort, seed: int, solvers: Iterable[Solver], before: Callable[[str], object] | None = None
) -> list[Comparison]:
    """Compare solvers on one chain after the other.

    A solver takes no part any more where a call is expected to take longer than the effort's patience, its time growing
    with the number of bins, or with its square where there is a matrix of costs, or where that would be too large.
    """
    within = [solver for solver in solvers if "chain" in solver.kinds and solver.missing() is None]
    effort = replace(effort, pairs=PAIRS, few=FEW, limit=effort.limit / 2)
    found: list[Comparison] = []
    for n in effort.sizes:
        if before is not None:
            before(f"{n:,} bins")
        if found:
            within = [solver for solver in within if _goes_on(solver, found[-1], n, effort)]
        found.append(compare(chain(n, seed), effort, within, settings=_setting))
    return found


def _setting(solver: Solver) -> tuple[float, ...]:
    return () if solver.exact else (SHARE,)


def _goes_on(solver: Solver, last: Comparison, n: int, effort: Effort) -> bool:
    (result,) = [result for result in last.results if result.solver == solver.name]
    if result.seconds_per_pair is None or (solver.dense and 8 * n**2 > LARGEST):
        return False
    pairs = result.pairs if solver.batched else 1
    growth = (n / last.case.space.n) ** (2 if solver.dense and last.case.space.n >= SMALL else 1)
    return result.seconds_per_pair * pairs * growth <= effort.patience
