"""A row of the table of solvers: its name, its packages, and functions for set-up, transfer, call and answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastemd.reference.flows import Space

from . import packages

Array = np.ndarray[Any, Any]

EVERYWHERE = ("chain", "ring", "tree")
# Largest cost / regularisation. Plain scaling works with exp(-cost / reg), whose smallest entry, 1e-145 at 0.003, is
# still far from underflow; 0.001 is for those only who compute in logarithms.
SCALING = (0.1, 0.03, 0.01, 0.003)
LOG = (*SCALING, 0.001)
# An entropic solver is stopped where what its marginals are off by, summed over the bins of both, is this share of the
# regularisation's share: then it adds little to the error that the regularisation makes, which is what each is for.
STOP = 0.01
MOST_ITERATIONS = 10_000


class Answer(NamedTuple):
    """Distances, (k,), and of an iterative solver what its marginals are off by, (k,), relative to the mass."""

    values: Array
    marginal_error: Array | None = None


class Ready(NamedTuple):
    """A solver that is set up for a space.

    Attributes
    ----------
    transfer : callable
        Rows a and b, (k, n), float64, of mass 1; returns the arguments of `run` in the solver's own arrays.
    run : callable
        The timed call. It returns when the answer is there, in whatever form the solver has it.
    read : callable
        From that to an `Answer`; also takes the arguments of `run`.
    """

    transfer: Callable[[Array, Array], tuple[Any, ...]]
    run: Callable[..., Any]
    read: Callable[..., Answer]

    def solve(self, a: Array, b: Array) -> Answer:
        """All three, one after the other."""
        data = self.transfer(a, b)
        return self.read(self.run(*data), *data)


@dataclass(frozen=True)
class Solver:
    """A row of the table.

    Attributes
    ----------
    name : str
    modules : tuple of str
        What must be importable.
    kinds : tuple of str
        The spaces to which it applies: "chain", "ring", "tree".
    prepare : callable
        Of a space, and of a setting where there are some; returns a `Ready`.
    settings : tuple of float
        Regularisation as a share of the largest cost, from the cheapest to the most exact. None: exact up to rounding.
    batched : bool
        Whether it takes all pairs at once; else they are handed over one by one.
    dense : bool
        Whether it holds a matrix of the costs of all pairs of bins, n * n numbers.
    note : str
        What is called.
    equal_ring : bool
        Whether it takes such rings only whose edges are equally long.
    """

    name: str
    modules: tuple[str, ...]
    kinds: tuple[str, ...]
    prepare: Callable[..., Ready]
    note: str
    settings: tuple[float, ...] = ()
    batched: bool = False
    dense: bool = False
    equal_ring: bool = False

    @property
    def exact(self) -> bool:
        """Whether its error is one of rounding only."""
        return not self.settings

    def ready(self, space: Space, share: float | None = None) -> Ready:
        """Set it up for a space, at one of its settings."""
        return self.prepare(space) if share is None else self.prepare(space, share)

    def missing(self) -> str | None:
        """Return what is not installed and how to install it, or None."""
        return next(filter(None, map(packages.missing, self.modules)), None)

    def unfit(self, space: Space) -> str | None:
        """Return why the solver does not apply to a space, or None if it does."""
        if space.kind not in self.kinds:
            return f"for {' and '.join(kind + 's' for kind in self.kinds)} only"
        if space.kind == "ring" and self.equal_ring and np.ptp(space.lengths) > 0:
            return "for rings of equal edges only"
        return None


def one_by_one(call: Callable[..., Any], feed: Callable[[Array, Array], tuple[Any, ...]] | None = None) -> Ready:
    """Hand over pairs one by one; `feed` makes the arguments of `call` out of a pair."""

    def transfer(a: Array, b: Array) -> tuple[Any]:
        return ([(x, y) if feed is None else feed(x, y) for x, y in zip(a, b, strict=True)],)

    def run(pairs: list[tuple[Any, ...]]) -> list[Any]:
        return [call(*pair) for pair in pairs]

    return Ready(transfer, run, lambda values, _: Answer(np.array([float(value) for value in values])))


@functools.lru_cache(maxsize=1)
def cost_matrix(space: Space) -> Array:
    """Return the costs of all pairs of bins; all solvers that want them share one matrix."""
    return space.cost_matrix()


def off(plan: Array, a: Array, b: Array) -> Array:
    """Return what the marginals of plans (k, n, m) are off by, both together, relative to the mass.

    >>> off(np.array([[[0.5, 0.0], [0.1, 0.4]]]), np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]]))
    array([0.2])
    """
    rows, columns = np.abs(plan.sum(axis=2) - a).sum(axis=1), np.abs(plan.sum(axis=1) - b).sum(axis=1)
    return np.asarray((rows + columns) / a.sum(axis=1))


def filled(a: Array, b: Array, cost: Array) -> tuple[Array, Array, Array]:
    """Both histograms without their empty bins, and the costs between the others."""
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    return a[rows], b[columns], cost[np.ix_(rows, columns)]


def stacked(a: Array, b: Array, cost: Array) -> tuple[Array, Array, Array]:
    """Pairs without their empty bins, and a cost matrix for each, all of the same shape.

    Where a histogram has fewer filled bins than another, its last one is split into several that share its mass and its
    place. That changes neither distance nor entropic cost, and no solver has to cope with a mass of 0.
    """
    (rows, x), (columns, y) = (_split(histograms) for histograms in (a, b))
    return x, y, cost[rows[:, :, np.newaxis], columns[:, np.newaxis, :]]


def _split(histograms: Array) -> tuple[Array, Array]:
    """Which bins are used, (k, most), and their masses."""
    bins: Sequence[Array] = [np.flatnonzero(row) for row in histograms]
    most = max(map(len, bins))
    at = np.array([np.append(own, np.full(most - len(own), own[-1])) for own in bins])
    mass = np.take_along_axis(histograms, at, axis=1)
    for row, own in zip(mass, bins, strict=True):
        row[len(own) - 1 :] /= most - len(own) + 1
    return at, mass
