"""Spaces and histograms for Sinkhorn's limits, and the plain iteration."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastemd as fe

from ..convergence import experiment

KINDS = ("Dirichlet", "peaked")
FAR = "far apart"
END = 0.1  # the share of the bins that either of two histograms far apart lies on
QUICK_CALL = 0.02  # seconds: what takes less is called `TURNS` times
TURNS = 5


class Scaled(NamedTuple):
    """Result of the plain iteration: the scalings, and the error of the plan's second marginal, in two norms."""

    u: np.ndarray
    v: np.ndarray
    iterations: int
    error: float
    euclidean: float


def plain_scaling(
    a: np.ndarray, b: np.ndarray, cost: np.ndarray, reg: float, dtype: Any, target: float, limit: int
) -> Scaled:
    """Sinkhorn's iteration as textbooks have it, in one dtype throughout, until the marginal is off by `target`.

    Nothing guards it: this is what is studied. It ends early where the error is no finite number.
    """
    a, b, kernel = (x.astype(dtype) for x in (a, b, np.exp(-cost / reg)))
    u, v, error, count = np.full_like(a, 1 / len(a)), np.ones_like(b), np.ones_like(b), 0
    with np.errstate(all="ignore"):
        while count < limit and target < error.sum() < np.inf:
            v = b / (u @ kernel)
            u = a / (kernel @ v)
            error = np.abs(v * (u @ kernel) - b)
            count += 1
    return Scaled(u, v, count, float(error.sum()), float(np.linalg.norm(error)))


def outcome(error: float, target: float) -> str:
    """Return whether a run came to its target, broke, or had no more iterations."""
    return "converged" if error <= target else "ran out" if np.isfinite(error) else "broke"


def what_broke(a: np.ndarray, b: np.ndarray, cost: np.ndarray, reg: float, dtype: Any, count: int) -> str:
    """Return what went wrong first in iteration `count` of a plain run that broke there: a sum, or a scaling."""
    before = plain_scaling(a, b, cost, reg, dtype, 0.0, count - 1)
    a, b, kernel = (x.astype(dtype) for x in (a, b, np.exp(-cost / reg)))
    with np.errstate(all="ignore"):
        for sums, mass in ((before.u @ kernel, b), (kernel @ (b / (before.u @ kernel)), a)):
            if (sums == 0).any():
                return "underflow"
            if not np.isfinite(mass / sums).all() or not np.isfinite(sums).all():
                return "overflow"
    return "overflow"  # of the sums that the error is taken from


def border(dtype: Any) -> float:
    """Return the reg, in units of the largest cost, at which the kernel's least entry is the least normal number."""
    return float(-1 / np.log(float(np.finfo(dtype).tiny)))


def unit(space: fe.Chain | fe.Tree) -> fe.Chain | fe.Tree:
    """The same space, its largest cost 1."""
    if isinstance(space, fe.Tree):
        return fe.Tree(space.parent, space.length / space.diameter, space.bins)
    return fe.Chain(positions=space.positions / space.diameter)


def spaces(quick: bool = False) -> dict[str, fe.Chain | fe.Tree]:
    """The spaces of the descents: a chain, and the tree of ImageNet's carnivores."""
    return {name: unit(space) for name, space in experiment.spaces(quick).items()}


def grown(name: str, n: int) -> fe.Chain | fe.Tree:
    """A chain of n bins, or a binary tree all of whose n nodes are bins."""
    return unit(fe.Chain(n) if name == "chain" else fe.Tree((np.arange(n) - 1) // 2, np.ones(n)))


def pair(seed: int, space: fe.Chain | fe.Tree, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Two histograms.

    "Dirichlet": uniform draws from the simplex. "peaked": those of the descents, bumps on a chain, a few heavy bins on
    a tree. "far apart": all mass of either at its own end of the space.
    """
    if kind == "peaked":
        return experiment.problem(seed, space, "spread")
    rng = np.random.default_rng(seed)
    if kind == "Dirichlet":
        a, b = rng.dirichlet(np.ones(space.n), 2)
        return a, b
    cost, count = space.cost_matrix(), max(1, int(END * space.n))
    ends = np.unravel_index(cost.argmax(), cost.shape)
    a, b = np.zeros((2, space.n))
    for x, end in zip((a, b), ends, strict=True):
        x[np.argsort(cost[end], kind="stable")[:count]] = rng.dirichlet(np.ones(count))
    return a, b


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Cosine of the angle of two centred gradients; constants, which no histogram feels, are taken off."""
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def seconds(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call answers and its time: the median of a few where it is quick."""
    times = []
    while len(times) < (TURNS if not times or times[0] < QUICK_CALL else 1):
        begin = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - begin)
    return answer, float(np.median(times))
