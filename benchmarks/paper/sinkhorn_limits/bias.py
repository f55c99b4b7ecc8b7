"""Where the entropic value has its minimum: not at b. One minimiser for all losses, and how near it comes to b."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

import fastemd as fe

from . import problems

TOLERANCE = 1e-8
INNER = 2_000
EVALUATIONS = 200
MEMORY = 30
RESTART = 5  # evaluations: a round of L-BFGS that ends before has nothing more to find
EXACT = {"exact, ρ = 1": 1.0, "relaxed, ρ = 2": 2.0}
SINKHORN, DIVERGENCE, BLURRED = "entropic", "debiased", "entropic, of the plan alone"

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


class Minimum(NamedTuple):
    """A histogram, the loss there, how much lower it may get for a convex loss, and the evaluations that it took."""

    a: np.ndarray
    value: float
    gap: float
    evaluations: int


def minimum(loss: Loss, start: np.ndarray, evaluations: int) -> Minimum:
    """Minimise over histograms, by L-BFGS within bounds on weights w >= 0 with a = w / sum(w).

    A softmax would not do: where it has driven a bin to 0 it never comes back. As the loss does not see the sum of w,
    a term of its own holds it at the number of bins, or the search would drift along it. The gap is that of Frank and
    Wolfe, ``a @ grad - min(grad)``.
    """
    n, used, a = len(start), 0, start

    def weighted(w: np.ndarray) -> tuple[float, np.ndarray]:
        total = w.sum()
        x = w / total
        value, grad = loss(x)
        off = total / n - 1
        return float(value) + 0.5 * off**2, (grad - x @ grad) / total + off / n

    while used < evaluations:
        left = {"maxfun": evaluations - used, "maxiter": evaluations, "maxcor": MEMORY, "ftol": 0, "gtol": 0}
        found = scipy.optimize.minimize(
            weighted, n * a, jac=True, method="L-BFGS-B", bounds=[(0, n)] * n, options=left
        )  # fmt: skip
        a = found.x / found.x.sum()
        used += found.nfev
        if found.nfev < RESTART:
            break
    value, grad = loss(a)
    return Minimum(a, float(value), float(a @ grad - grad.min()), used)


def exact(b: np.ndarray, space: fe.Chain | fe.Tree, rho: float) -> Loss:
    """The exact distance from b, or the relaxed one."""
    return lambda a: fe.emd_value_and_grad(a, b, space, rho=rho, mass="normalize")


def entropic(b: np.ndarray, space: fe.Chain | fe.Tree, reg: float) -> Loss:
    """Sinkhorn's regularised value, each evaluation begun at the potentials of the one before."""
    last: list[Any] = [None]

    def loss(a: np.ndarray) -> tuple[float, np.ndarray]:
        found = fe.sinkhorn(
            a, b, space, reg=reg, tol=TOLERANCE, max_iter=INNER, mass="normalize", potentials=last[0]
        )  # fmt: skip
        last[0] = found.potentials
        return float(found.regularised_value), found.grad_a

    return loss


def debiased(b: np.ndarray, space: fe.Chain | fe.Tree, reg: float) -> Loss:
    """The Sinkhorn divergence."""

    def loss(a: np.ndarray) -> tuple[float, np.ndarray]:
        found = fe.sinkhorn_divergence(a, b, space, reg=reg, tol=TOLERANCE, max_iter=INNER, mass="normalize")
        return float(found.value), found.grad_a

    return loss


def blurred(b: np.ndarray, cost: np.ndarray, reg: float) -> np.ndarray:
    """The minimiser where the entropy is that of the plan alone, as in Cuturi's paper and ``ot.sinkhorn``.

    With a free, only the marginal b is left to be kept, and each bin of b spreads over the bins by exp(-cost / reg).
    """
    kernel = np.exp(-cost / reg)
    return kernel @ (b / kernel.sum(axis=0))


def bias(name: str, space: fe.Chain | fe.Tree, seed: int, regs: Sequence[float], evaluations: int):
    """Yield a record for each loss and reg: the exact distance of its minimiser from b, beside that of the start.

    Its gain is by how much the loss is lower there than at b: what is positive needs no faith in the search.
    """
    start, b = problems.pair(seed, space, "peaked")
    before, cost = float(fe.emd(start, b, space)), space.cost_matrix()
    where = {"question": "bias", "space": name, "seed": seed, "start": before}
    if seed == 0:
        yield where | {"method": "b", "reg": None, "distance": 0.0, "gap": None, "gain": None, "histogram": _short(b)}

    def record(method: str, reg: float | None, a: np.ndarray) -> dict[str, Any]:
        return where | {"method": method, "reg": reg, "gap": None, "gain": None} | {
            "distance": float(fe.emd(a, b, space, mass="normalize")),
            **({"histogram": _short(a)} if seed == 0 else {}),
        }  # fmt: skip

    def searched(method: str, reg: float | None, loss: Loss) -> dict[str, Any]:
        found = minimum(loss, start, evaluations)
        return record(method, reg, found.a) | {"gap": found.gap, "gain": float(loss(b)[0]) - found.value}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fe.SinkhornWarning)
        for method, rho in EXACT.items():
            yield searched(method, None, exact(b, space, rho))
        for reg in regs:
            yield searched(SINKHORN, reg, entropic(b, space, reg))
            yield searched(DIVERGENCE, reg, debiased(b, space, reg))
            yield record(BLURRED, reg, blurred(b, cost, reg))


def _short(a: np.ndarray) -> list[float]:
    return [float(f"{x:.4g}") for x in a]
