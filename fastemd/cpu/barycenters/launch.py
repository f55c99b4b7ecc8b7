"""The barycentre on a tree at rho = 1: medians where they make a histogram, else an allocation that is refined.

The cost of an edge is piecewise linear, with a breakpoint for each histogram. The allocation starts with some of them
and takes up those around its answer until the bound proves it; so it works on a small part of all breakpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import typeof, types

from ... import threads
from ..compilation import array, entry
from . import allocation, certificate

FLOAT64, INT, BOOL = np.float64, np.intp, np.bool_
GROWTH = 3  # by how much the gaps between kept breakpoints grow, away from a flow; 2 and 4 take longer
PATIENCE = 9  # selections that replace each other; later ones add up, in case rounding moves them to and fro
ROUNDS = 20  # selections, after which all breakpoints are kept
ROUNDING = 64.0  # units in the last place of the mass that sums of a few nodes are off by at most


class TreeLayout(NamedTuple):
    """A tree as these kernels read it: nodes in depth-first order, the root first.

    Parameters
    ----------
    up : ndarray of intp, shape (nodes,)
        Position of each node's parent, 0 at the root.
    length : ndarray, shape (nodes,)
    place : ndarray of intp, shape (n,)
        Position of each bin.
    """

    up: np.ndarray
    length: np.ndarray
    place: np.ndarray


class Median(NamedTuple):
    """A barycentre (n,), its potential (n,), its cost, and a bound that no histogram's cost is below."""

    masses: np.ndarray
    potential: np.ndarray
    value: float
    bound: float


def tree_median(tree: TreeLayout, rows: np.ndarray, weights: np.ndarray, mass: float) -> Median:
    """Return a histogram of that mass whose weighted EMD to the rows (N, n) is least.

    `weights` (N,) sum to 1.
    """
    nodes, n = len(tree.up), len(tree.place)
    bin_at = np.full(nodes, -1, np.intp)
    bin_at[tree.place] = np.arange(n)
    positions, cumulative = _breakpoints(tree, rows, weights)
    masses = _from_medians(tree, bin_at, positions, cumulative, mass)
    if masses is not None:
        return _proved(tree, bin_at, positions, cumulative, masses, mass)
    children = np.bincount(tree.up[1:], minlength=nodes).astype(np.intp)
    count = positions.shape[1]
    kept = np.zeros(positions.shape, BOOL)
    _select(positions, kept, positions[np.arange(nodes), (cumulative < 0.5).sum(axis=1).clip(max=count - 1)], False)
    masses = np.empty(n)
    closed = _slack(mass, nodes) * float(tree.length.sum())
    for turn in range(ROUNDS + 1):
        capacity = int(kept.sum()) + n + 1
        arguments = (tree.up, tree.length, bin_at, children, positions, cumulative, kept, mass, capacity, masses)
        _call(allocation.allocate, *arguments)
        found = _proved(tree, bin_at, positions, cumulative, masses, mass)
        if found.value - found.bound <= closed or kept.all():
            break
        if turn == ROUNDS - 1:
            kept[:] = True
        else:
            _select(positions, kept, _flows(tree, masses), turn >= PATIENCE)
    return found


def _call(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call the compiled code of a kernel for the types of its arguments."""
    kinds = (array(x.dtype, x.ndim, "C") if isinstance(x, np.ndarray) else typeof(x) for x in arguments)
    return entry(kernel, tuple(types.intp if kind in (types.int64, types.intp) else kind for kind in kinds))(*arguments)


def _breakpoints(tree: TreeLayout, rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the masses below each node (nodes, N), in order, and their cumulative weights."""
    positions = np.empty((len(tree.up), len(rows)))
    _call(allocation.subtree_masses, tree.up, tree.place, rows, positions)
    equal = bool((weights == weights[0]).all())
    cumulative = np.empty_like(positions)
    if equal:
        cumulative[:] = np.arange(1, len(rows) + 1) / len(rows)

    def work(first: int, last: int) -> None:
        part = positions[first:last]
        if equal:
            part.sort(axis=1)
            return
        order = part.argsort(axis=1)
        part[:] = np.take_along_axis(part, order, axis=1)
        np.cumsum(weights[order], axis=1, out=cumulative[first:last])
        cumulative[first:last, -1] = 1.0

    threads.share(work, len(positions), 1, positions.size)
    return positions, cumulative


def _slack(mass: float, nodes: int) -> float:
    """Return up to what a flow is known; roundings of sums grow like the root of their number."""
    return float(np.finfo(FLOAT64).eps) * ROUNDING * mass * nodes**0.5


def _flows(tree: TreeLayout, masses: np.ndarray) -> np.ndarray:
    """Return the mass below each node (nodes,)."""
    flows = np.empty((len(tree.up), 1))
    _call(allocation.subtree_masses, tree.up, tree.place, masses[None], flows)
    return flows[:, 0].copy()


def _from_medians(
    tree: TreeLayout, bin_at: np.ndarray, positions: np.ndarray, cumulative: np.ndarray, mass: float
) -> np.ndarray | None:
    """Return the histogram whose flows are the edges' medians, or None where no histogram has them."""
    middle = np.minimum((cumulative < 0.5).sum(axis=1), positions.shape[1] - 1)
    flows = positions[np.arange(len(positions)), middle]
    flows[0] = mass
    own = flows.copy()
    np.subtract.at(own, tree.up[1:], flows[1:])
    if -_slack(mass, len(own)) <= own[0] < 0.0:  # the rows' masses are equal up to rounding
        own[0] = 0.0
    if (own < 0.0).any() or (own[bin_at < 0] > 0.0).any():
        return None
    return own[tree.place]


def _select(positions: np.ndarray, kept: np.ndarray, flows: np.ndarray, add: bool) -> None:
    """Keep the breakpoints on both sides of each flow (nodes,), and others the farther apart the farther away.

    With `add`, those that were kept stay.
    """
    nodes, count = positions.shape
    at = (positions < flows[:, None]).sum(axis=1)
    steps = np.unique((2 * GROWTH ** np.arange(1 + np.log(count) / np.log(GROWTH))).astype(np.intp))
    steps = np.concatenate([-steps, [-1, 0, 1], steps])  # two on each side: flows are off by their rounding
    if not add:
        kept[:] = False
    kept[:, 0] = kept[:, -1] = True
    kept[np.arange(nodes)[:, None], np.clip(at[:, None] + steps, 0, count - 1)] = True
    # Of equal breakpoints a group counts as one: both neighbours of a flow are kept whatever the group's size.
    after = (positions <= flows[:, None]).sum(axis=1)
    kept[np.arange(nodes), np.minimum(after, count - 1)] = True
    kept[np.arange(nodes), np.maximum(at - 1, 0)] = True


def _proved(
    tree: TreeLayout,
    bin_at: np.ndarray,
    positions: np.ndarray,
    cumulative: np.ndarray,
    masses: np.ndarray,
    mass: float,
) -> Median:
    """Return a histogram with its cost, the potential that proves it, and the bound that this makes."""
    nodes = len(tree.up)
    flows = _flows(tree, masses)
    low, high, slopes = np.empty(nodes), np.empty(nodes), np.empty(nodes)
    slack = _slack(mass, nodes)
    _call(certificate.slope_ranges, flows, positions, cumulative, tree.length, slack, low, high)
    _call(certificate.choose_slopes, tree.up, bin_at, flows, masses, slack, tree.length, low, high, slopes)
    value, conjugate = _call(certificate.bounds, flows, slopes, positions, cumulative, tree.length)
    potential = _path_sums(tree.up, slopes)[tree.place]
    return Median(masses, potential, value, conjugate + mass * float(potential.min()))


def _path_sums(up: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the sum of the slopes between each node and the root."""
    sums = np.empty_like(slopes)
    _call(certificate.path_sums, up, slopes, sums)
    return sums
