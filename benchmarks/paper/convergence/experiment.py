"""Gradient descent of a histogram a towards a histogram b: how many steps, how much time, by which loss.

No net and no data: what descends is a itself, through the logits of a softmax or by projected gradients on the simplex.
What is counted is when the exact distance of a and b has fallen to 30 %, 10 %, 1 % of what it was.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special

import fastemd as fe

from .. import runs
from .page import SHOWN, draw, page

__all__ = ["PACKAGES", "add_arguments", "draw", "page", "run"]

PACKAGES: tuple[str, ...] = ()
FRACTIONS = (0.3, 0.1, 0.01)
ROUTES = {"softmax": np.logspace(0, 6.5, 14), "simplex": np.logspace(-5, 1.5, 14)}
TARGETS = ("spread", "one bin")
TUNING_SEEDS = 8
FIRST_TUNING_SEED = 10_000  # far from those that are reported
FLOOR = 1e-4  # what a probability counts as at least, in the gradient of cross entropy on the simplex
INNER = 20  # iterations of Sinkhorn at most for a gradient that begins where the one before has ended
COLD = 30  # and for one that does not
TIMED = 20  # steps of which the time is taken


class Loss:
    """The gradient of a loss of rows a and b; an object serves one descent, as it may remember the step before."""

    def on_simplex(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Gradient with respect to a, up to a constant for each row, which no projection sees."""
        raise NotImplementedError

    def on_logits(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Gradient with respect to the logits of which a is the softmax."""
        f = self.on_simplex(a, b)
        return a * (f - (a * f).sum(axis=-1, keepdims=True))


class Distance(Loss):
    """The exact distance (rho = 1) or the relaxed one."""

    def __init__(self, space: fe.Chain | fe.Tree, rho: float) -> None:
        self.space, self.rho = space, rho

    def on_simplex(self, a, b):
        return fe.emd_value_and_grad(a, b, self.space, rho=self.rho, check=False)[1]


class CrossEntropy(Loss):
    """-sum(b * log a)."""

    def on_simplex(self, a, b):
        return -b / np.maximum(a, FLOOR)

    def on_logits(self, a, b):
        return a - b


class Sinkhorn(Loss):
    """The regularised value, each gradient begun at the potentials of the one before."""

    def __init__(self, space: fe.Chain | fe.Tree, reg: float) -> None:
        self.space, self.reg, self.potentials = space, reg, None

    def on_simplex(self, a, b):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fe.SinkhornWarning)
            found = fe.sinkhorn(
                a, b, self.space, reg=self.reg, max_iter=INNER, tol=1e-4, potentials=self.potentials, mass="normalize"
            )
        self.potentials = found.potentials
        return found.grad_a


class Divergence(Loss):
    """The debiased Sinkhorn divergence."""

    def __init__(self, space: fe.Chain | fe.Tree, reg: float) -> None:
        self.space, self.reg = space, reg

    def on_simplex(self, a, b):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fe.SinkhornWarning)
            found = fe.sinkhorn_divergence(a, b, self.space, reg=self.reg, max_iter=COLD, tol=1e-4, mass="normalize")
        return found.grad_a


METHODS: dict[str, Callable[[fe.Chain | fe.Tree], Loss]] = {
    "rho 1": lambda space: Distance(space, 1),
    "rho 1.5": lambda space: Distance(space, 1.5),
    "rho 2": lambda space: Distance(space, 2),
    "rho 3": lambda space: Distance(space, 3),
    "cross entropy": lambda _: CrossEntropy(),
    "Sinkhorn 0.3": lambda space: Sinkhorn(space, 0.3),
    "Sinkhorn 0.1": lambda space: Sinkhorn(space, 0.1),
    "Sinkhorn 0.03": lambda space: Sinkhorn(space, 0.03),
    "divergence 0.1": lambda space: Divergence(space, 0.1),
}


class Steps(NamedTuple):
    """Step sizes of rows: ``size`` throughout, or ``size / sqrt(t)`` at step t where ``falling``."""

    size: np.ndarray
    falling: np.ndarray

    def at(self, t: int) -> np.ndarray:
        return np.where(self.falling, self.size / np.sqrt(t), self.size)[:, None]


def spaces(quick: bool = False) -> dict[str, fe.Chain | fe.Tree]:
    """A chain, and the tree of ImageNet's carnivores; the unit of length is the mean distance of two bins."""
    whole = fe.Tree.imagenet()
    below = subtree(whole, "feline" if quick else "carnivore")
    n = 12 if quick else 100
    unit, tree_unit = fe.Chain(n).cost_matrix().mean(), below.cost_matrix().mean()
    tree = fe.Tree(below.parent, below.length / tree_unit, below.bins)
    return {f"chain of {n} bins": fe.Chain(positions=np.arange(n) / unit), f"tree of {tree.n} bins": tree}


def subtree(tree: fe.Tree, label: str) -> fe.Tree:
    """The part of a tree at and below its node of a label, with the bins that lie there."""
    keep = np.zeros(tree.n_nodes, bool)
    keep[tree.labels.index(label)] = True
    while (wider := keep | (keep[tree.parent] & (tree.parent >= 0))).sum() > keep.sum():
        keep = wider
    number = np.cumsum(keep) - 1
    parent = np.where(keep[tree.parent] & (tree.parent >= 0), number[tree.parent], -1)[keep]
    return fe.Tree(parent, tree.length[keep], number[tree.bins[keep[tree.bins]]])


def problem(seed: int, space: fe.Chain | fe.Tree, target: str) -> tuple[np.ndarray, np.ndarray]:
    """A start and a target. Both spread mass unevenly over all bins, except a target of one bin.

    On a chain they are three Gaussian bumps each, over a little everywhere; on a tree, which has no bumps, the softmax
    of normal numbers of standard deviation 2.
    """
    rng = np.random.default_rng(seed)

    def drawn() -> np.ndarray:
        if isinstance(space, fe.Tree):
            return scipy.special.softmax(2 * rng.standard_normal(space.n))
        x, centre, width = np.linspace(0, 1, space.n), rng.random((3, 1)), rng.uniform(0.02, 0.1, (3, 1))
        bumps = rng.random(3) @ np.exp(-(((x - centre) / width) ** 2) / 2) + 0.01
        return bumps / bumps.sum()

    a, b, bin_ = drawn(), drawn(), rng.integers(space.n)
    return a, np.eye(space.n)[bin_] if target == "one bin" else b


def projected(x: np.ndarray) -> np.ndarray:
    """The nearest points of the simplex, row by row (Duchi et al., ICML 2008)."""
    falling = -np.sort(-x, axis=-1)
    over = np.cumsum(falling, axis=-1) - 1
    count = (falling > over / np.arange(1, x.shape[-1] + 1)).sum(axis=-1, keepdims=True)
    nearest = np.maximum(x - np.take_along_axis(over, count - 1, -1) / count, 0)
    return nearest / nearest.sum(axis=-1, keepdims=True)  # of large steps, rounding leaves a mass beside 1


def descent(loss: Loss, route: str, a: np.ndarray, b: np.ndarray, steps: Steps):
    """Yield rows a after step 1, 2, ..."""
    z, t = np.log(a), 0
    while True:
        t += 1
        if route == "softmax":
            z = z - steps.at(t) * loss.on_logits(a, b)
            z -= z.max(axis=-1, keepdims=True)
            a = np.exp(z)
            a /= a.sum(axis=-1, keepdims=True)
        else:
            a = projected(a - steps.at(t) * loss.on_simplex(a, b))
        yield a


def curves(loss: Loss, route: str, a, b, steps: Steps, limit: int, space) -> np.ndarray:
    """Exact distance after step 0, 1, ..., as a fraction of that before; rows x (limit + 1)."""
    distance = [fe.emd(a, b, space)]
    for t, now in enumerate(descent(loss, route, a, b, steps), 1):
        distance.append(fe.emd(now, b, space, mass="normalize"))
        if t == limit or (np.min(distance, axis=0) <= FRACTIONS[-1] * distance[0]).all():
            break
    distance += [distance[-1]] * (limit + 1 - len(distance))
    return np.stack(distance, axis=1) / distance[0][:, None]


def first(curve: np.ndarray, fraction: float) -> np.ndarray:
    """The first step at which each row is down to a fraction; infinity where it never is."""
    there = curve <= fraction
    return np.where(there.any(axis=1), there.argmax(axis=1).astype(float), np.inf)


def best(curve: np.ndarray, fraction: float) -> int:
    """The number of the best step size, curve being steps x seeds x (limit + 1): the least mean logarithm of the hits.

    A seed that never got there counts as twice the limit, times how far it stayed away.
    """
    limit = curve.shape[-1] - 1
    missed = 2 * limit * curve.min(axis=-1) / fraction
    hits = np.stack([first(one, fraction) for one in curve])
    return int(np.log(np.where(np.isfinite(hits), hits, missed)).mean(axis=1).argmin())


def tried(make, space, route: str, problems: list, limit: int) -> tuple[Steps, np.ndarray]:
    """Every step size of the grid on every problem: the steps, and curves, steps x problems x (limit + 1)."""
    grid = ROUTES[route]
    steps = Steps(np.tile(grid, 2), np.repeat([False, True], len(grid)))
    a, b = (np.tile(np.stack(rows), (len(steps.size), 1)) for rows in zip(*problems, strict=True))
    every = Steps(*(np.repeat(x, len(problems)) for x in steps))
    curve = curves(make(space), route, a, b, every, limit, space)
    return steps, curve.reshape(len(steps.size), len(problems), -1)


def milliseconds(loss: Loss, route: str, a: np.ndarray, b: np.ndarray, steps: Steps) -> float:
    """Time of a step of one row: the median over some."""
    times, going = [], descent(loss, route, a, b, steps)
    for _ in range(TIMED):
        begin = time.perf_counter()
        next(going)
        times.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(times))


def measure(method: str, name: str, space, route: str, target: str, seeds: int, limit: int) -> list[runs.Record]:
    """Tune on seeds of their own, then descend on those that are reported, at the best steps for each fraction."""
    make = METHODS[method]
    tuning = [problem(FIRST_TUNING_SEED + k, space, target) for k in range(TUNING_SEEDS)]
    steps, curve = tried(make, space, route, tuning, limit)
    problems = [problem(seed, space, target) for seed in range(seeds)]
    a, b = (np.stack(rows) for rows in zip(*problems, strict=True))
    records, known = [], {}
    for fraction in FRACTIONS:
        k = best(curve, fraction)
        if k not in known:
            chosen = Steps(*(np.full(seeds, x[k]) for x in steps))
            times = [
                milliseconds(make(space), route, a[[seed]], b[[seed]], Steps(*(x[:1] for x in chosen)))
                for seed in range(seeds)
            ]
            known[k] = curves(make(space), route, a, b, chosen, limit, space), times
        own, times = known[k]
        at = first(own, fraction)
        for seed in range(seeds):
            records.append(
                {"method": method, "space": name, "route": route, "target": target, "fraction": fraction, "seed": seed}
                | {"steps": int(at[seed]) if np.isfinite(at[seed]) else None, "ms_per_step": times[seed]}
                | {"step_size": float(steps.size[k]), "falling": bool(steps.falling[k])}
                | {"edge": bool(steps.size[k] in ROUTES[route][[0, -1]]), "least": float(own[seed].min())}
                | {"tuning_seeds_there": int(np.isfinite(first(curve[k], fraction)).sum())}
                | ({"curve": _thin(own[seed])} if fraction == SHOWN else {})
            )
    return records


def _thin(curve: np.ndarray) -> list[list[float]]:
    """Some fifty points of a curve, evenly spread over the logarithm of the step: steps and fractions."""
    at = np.unique(np.round(np.geomspace(1, len(curve) - 1, 50)).astype(int))
    return [at.tolist(), [float(f"{x:.4g}") for x in np.minimum.accumulate(curve)[at]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=1_000, help="steps at most (default: %(default)s)")
    parser.set_defaults(seeds=10)


def run(options: argparse.Namespace) -> runs.Record:
    """Every method in every case."""
    limit = 40 if options.quick else options.limit
    places = spaces(options.quick)
    cases = [
        (method, name, route, target) for name in places for route in ROUTES for target in TARGETS for method in METHODS
    ]
    records: list[runs.Record] = []
    for method, name, route, target in runs.track(cases, "descents"):
        records += measure(method, name, places[name], route, target, options.seeds, limit)
    return {"limit": limit, "tuning_seeds": TUNING_SEEDS, "grid": 2 * len(ROUTES["softmax"]), "records": records}
