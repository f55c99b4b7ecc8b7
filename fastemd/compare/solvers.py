"""The table of solvers: what each is called, where it applies, and how it is prepared and called.

A solver is prepared once for a space (cost matrix, positions), which gives a function of rows a and b, both (k, n),
float64, of mass 1. Each solver is called in the way that suits it best: where its time grows with the number of bins
squared or worse, it is shown only the bins that hold mass; where it takes a batch, it gets one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..reference.flows import Space
from ..spaces import Chain, Ring
from . import packages

Array = np.ndarray[Any, Any]


class Answer(NamedTuple):
    """Distances, (k,), and for an iterative solver which of them it converged on, (k,)."""

    values: Array
    converged: Array | None = None


Solve = Callable[[Array, Array], Answer]


@dataclass(frozen=True)
class Solver:
    """A row of the table.

    Attributes
    ----------
    name : str
    module : str
        What must be importable.
    kinds : tuple of str
        The spaces to which it applies: "chain", "ring", "tree".
    prepare : callable
        Of a space; returns a function of a and b, (k, n) each, that returns an `Answer`.
    exact : bool
        Whether its error is one of rounding only.
    batched : bool
        Whether it takes all rows at once; else they are handed over one by one.
    note : str
    """

    name: str
    module: str
    kinds: tuple[str, ...]
    prepare: Callable[[Any], Solve]
    exact: bool = True
    batched: bool = False
    note: str = ""

    def obstacle(self, space: Space) -> str | None:
        """Return why the solver cannot be called on a space, or None if it can."""
        if space.kind not in self.kinds:
            return f"does not apply: for {' and '.join(kind + 's' for kind in self.kinds)} only"
        return packages.missing(self.module)


def fastemd_batch(space: Space) -> Solve:
    """All pairs in one call."""
    from fastemd import emd

    return lambda a, b: Answer(emd(a, b, space))


def fastemd_single(space: Space) -> Solve:
    """A call for each pair."""
    from fastemd import emd

    return _one_by_one(lambda a, b: emd(a, b, space))


def pot_lp(space: Space) -> Solve:
    """Network simplex on the bins that hold mass."""
    emd2, cost = packages.load("ot").emd2, space.cost_matrix()
    return _one_by_one(lambda a, b: emd2(*_filled(a, b, cost)))


def pot_line(space: Chain) -> Solve:
    """One-dimensional transport, a call for each pair."""
    emd2_1d, x = packages.load("ot").emd2_1d, space.positions
    return _one_by_one(lambda a, b: emd2_1d(x, x, a, b, metric="cityblock"))


def pot_line_batch(space: Chain) -> Solve:
    """Quantile functions of all pairs in one call."""
    wasserstein_1d, x = packages.load("ot").wasserstein_1d, space.positions[:, np.newaxis]

    def solve(a: Array, b: Array) -> Answer:
        at = np.broadcast_to(x, a.T.shape)
        return Answer(wasserstein_1d(at, at, a.T, b.T, p=1, require_sort=False))

    return solve


def pot_circle_batch(space: Ring) -> Solve:
    """The circle's solver on all pairs in one call; it wants a circle of circumference 1."""
    wasserstein_circle, around = packages.load("ot").wasserstein_circle, float(np.sum(space.lengths))
    x = (np.cumsum(space.lengths) - space.lengths)[:, np.newaxis] / around

    def solve(a: Array, b: Array) -> Answer:
        at = np.broadcast_to(x, a.T.shape)
        return Answer(around * wasserstein_circle(at, at, a.T, b.T, p=1, require_sort=False))

    return solve


def scipy_line(space: Chain) -> Solve:
    """One-dimensional transport, a call for each pair."""
    wasserstein_distance, x = packages.load("scipy.stats").wasserstein_distance, space.positions
    return _one_by_one(lambda a, b: wasserstein_distance(x, x, a, b))


def pot_sinkhorn(share: float) -> Callable[[Space], Solve]:
    """Return the preparation of Sinkhorn's algorithm at a regularisation that is a share of the largest cost."""

    def prepare(space: Space) -> Solve:
        sinkhorn2, cost = packages.load("ot").sinkhorn2, space.cost_matrix()
        reg = share * float(np.max(cost))
        # The kernel's smallest entry, exp(-1 / share), and its square are far from underflow at shares of 0.01 and
        # more; below, only the much slower iteration on logarithms works.
        method = "sinkhorn" if share >= 0.01 else "sinkhorn_log"

        def solve(a: Array, b: Array) -> Answer:
            values, converged = np.empty(len(a)), np.empty(len(a), dtype=bool)
            for row, (x, y) in enumerate(zip(a, b, strict=True)):
                values[row], log = sinkhorn2(*_filled(x, y, cost), reg, method, stopThr=STOP, log=True)
                converged[row] = bool(log["err"]) and log["err"][-1] < STOP  # none, or NaN: it broke down
            return Answer(values, converged)

        return solve

    return prepare


STOP = 1e-9  # error of the marginals at which Sinkhorn's algorithm ends; POT's default, as are its 1,000 iterations
EVERYWHERE = ("chain", "ring", "tree")
FILLED = "shown the bins with mass only"
SOLVERS = (
    Solver(
        "fastemd, batched", "fastemd", EVERYWHERE, fastemd_batch, batched=True, note="emd(a, b, space) on all pairs"
    ),
    Solver("fastemd, one by one", "fastemd", EVERYWHERE, fastemd_single, note="emd(a, b, space) on each pair"),
    Solver("POT LP", "ot", EVERYWHERE, pot_lp, note=f"ot.emd2, {FILLED}"),
    Solver("POT 1-D, batched", "ot", ("chain",), pot_line_batch, batched=True, note="ot.wasserstein_1d on all pairs"),
    Solver("POT 1-D, one by one", "ot", ("chain",), pot_line, note="ot.emd2_1d on each pair"),
    Solver("POT circle, batched", "ot", ("ring",), pot_circle_batch, batched=True, note="ot.wasserstein_circle"),
    Solver("SciPy 1-D", "scipy", ("chain",), scipy_line, note="scipy.stats.wasserstein_distance"),
    Solver("POT Sinkhorn 0.1", "ot", EVERYWHERE, pot_sinkhorn(0.1), exact=False, note=f"ot.sinkhorn2, {FILLED}"),
    Solver("POT Sinkhorn 0.01", "ot", EVERYWHERE, pot_sinkhorn(0.01), exact=False, note=f"ot.sinkhorn2, {FILLED}"),
)


def _one_by_one(call: Callable[[Array, Array], Any]) -> Solve:
    """Hand over rows one by one."""
    return lambda a, b: Answer(np.array([float(call(x, y)) for x, y in zip(a, b, strict=True)]))


def _filled(a: Array, b: Array, cost: Array) -> tuple[Array, Array, Array]:
    """Both histograms without their empty bins, and the costs between the others."""
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    return a[rows], b[columns], cost[np.ix_(rows, columns)]
