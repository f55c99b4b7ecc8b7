"""How near the entropic value and its gradient come to the exact ones, against reg and against iterations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import ot.bregman

import fastemd as fe

from . import problems

TOLERANCE = 1e-9  # marginal error that counts as converged, far below the errors in question
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Exact:
    """The exact value and gradient of a pair, and the gradient of the relaxed distance, rho = 2."""

    def __init__(self, a: np.ndarray, b: np.ndarray, space: fe.Chain | fe.Tree) -> None:
        self.value, self.gradient = fe.emd_value_and_grad(a, b, space)
        self.relaxed = fe.emd_value_and_grad(a, b, space, rho=2)[1]
        corners = np.eye(space.n)
        divides = (fe.flow(corners, corners[0], space) != 0).any(axis=0)  # some edges of a tree have no bin beyond
        if (fe.flow(a, b, space)[divides] == 0).any():
            raise ValueError("a flow is 0, where the exact gradient is not unique; draw other histograms")

    def error(self, value: float) -> float:
        return abs(float(value) / float(self.value) - 1)


def against_reg(name: str, space: fe.Chain | fe.Tree, kind: str, seed: int, regs: Sequence[float], limit: int):
    """Yield a record for each reg: the converged value, its regularised one, and the direction of the gradient."""
    a, b = problems.pair(seed, space, kind)
    exact = Exact(a, b, space)
    for reg in regs:
        found = _fastemd(a, b, space, reg, limit)
        yield {"question": "accuracy", "space": name, "kind": kind, "seed": seed, "reg": reg} | {
            "converged": bool(found.converged),
            "value_error": exact.error(found.value), "regularised_error": exact.error(found.regularised_value),
            "cosine": problems.cosine(found.grad_a, exact.gradient),
            "cosine_relaxed": problems.cosine(found.grad_a, exact.relaxed),
            "cosine_of_both": problems.cosine(exact.relaxed, exact.gradient),
        }  # fmt: skip


def against_iterations(name: str, space: fe.Chain | fe.Tree, kind: str, seed: int, regs: Sequence[float], limit: int):
    """Yield a record for each reg and each of plain steps, in logarithms, and fastemd's over-relaxed ones."""
    a, b = problems.pair(seed, space, kind)
    exact, cost = Exact(a, b, space), space.cost_matrix()
    steps = [count for count in STEPS if count <= limit]
    for reg in regs:
        for method, found in (
            ("plain", _plain(a, b, cost, reg, steps)),
            ("over-relaxed", [_after(a, b, space, reg, count) for count in steps]),
        ):
            values, gradients = zip(*found, strict=True)
            yield {"question": "steps", "space": name, "kind": kind, "seed": seed, "reg": reg, "method": method} | {
                "steps": steps, "value_error": [exact.error(value) for value in values],
                "cosine": [problems.cosine(gradient, exact.gradient) for gradient in gradients],
            }  # fmt: skip


def _plain(a, b, cost, reg: float, steps: Sequence[int]) -> list[tuple[float, np.ndarray]]:
    """The cost of the plan and the gradient after each number of steps of POT's iteration in logarithms.

    Each call goes on where the one before has ended. Its potential without the logarithm of a is that of a plan
    relative to the marginals, which fastemd's gradient belongs to.
    """
    found, start, done = [], (np.zeros(len(a)), np.zeros(len(b))), 0
    for count in steps:
        with np.errstate(over="ignore"):  # of the scalings, which it makes of the potentials at the end
            plan, log = ot.bregman.sinkhorn_log(
                a, b, cost, reg, numItermax=count - done, stopThr=0, warn=False, log=True, warmstart=start
            )
        start, done = (log["log_u"], log["log_v"]), count
        found.append((float((plan * cost).sum()), reg * (log["log_u"] - np.log(a))))
    return found


def _after(a, b, space: fe.Chain | fe.Tree, reg: float, count: int) -> tuple[float, np.ndarray]:
    found = _fastemd(a, b, space, reg, count)
    return float(found.value), found.grad_a


def _fastemd(a, b, space: fe.Chain | fe.Tree, reg: float, limit: int) -> fe.SinkhornResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)
        return fe.sinkhorn(a, b, space, reg=reg, tol=TOLERANCE, max_iter=limit)
