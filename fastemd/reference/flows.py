"""From histograms to flows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..spaces import Chain, Ring, Tree

Space = Chain | Ring | Tree
Array = NDArray[np.float64]


def flow(a: ArrayLike, b: ArrayLike, space: Space, *, mass: str = "equal") -> Array:
    """The flow over every edge under `rho = 1`, `(..., m)`; positive towards the root, on a chain to the right.

    Parameters
    ----------
    a, b : array_like, shape (..., n)
        Histograms: finite and non-negative. Leading axes broadcast.
    space : Chain, Ring or Tree
        The space whose n bins and m edges they live on.
    mass : {"equal", "normalize", "root"}
        Rows hold equal mass; or are divided by their mass; or the surplus goes to the root (not on a ring).

    Returns
    -------
    ndarray of float64, shape (..., m)
        In the order of `space.lengths`. A tree's entry at the root, which has no edge, is 0.

    Raises
    ------
    ValueError
        For a last axis that is not n long, an unknown `mass`, "root" on a ring, no mass under "normalize".

    Examples
    --------
    >>> from fastemd import Chain, Ring, reference
    >>> reference.flow([3, 0, 0, 0], [1, 0, 0, 2], Chain(4))
    array([2., 2., 2.])
    >>> reference.flow([3, 0, 0, 0], [1, 0, 0, 2], Ring(4))
    array([ 0.,  0.,  0., -2.])
    """
    a, b, _, _ = compared(a, b, space, mass)
    return optimal_flow(a - b, space, rho=1)


def optimal_flow(difference: Array, space: Space, rho: float) -> Array:
    """The flow of least cost over every edge, `(..., m)`, out of `difference = a - b`."""
    if isinstance(space, Chain):
        return np.cumsum(difference, axis=-1)[..., :-1]
    if isinstance(space, Ring):
        prefix = np.cumsum(difference, axis=-1)
        return prefix - circulation(prefix, space.lengths, rho)
    below = np.zeros((*difference.shape[:-1], space.m))
    below[..., space.bins] = difference
    root, *others = parents_first(space.parent)
    for node in reversed(others):
        below[..., space.parent[node]] += below[..., node]
    below[..., root] = 0.0  # there is no edge above the root
    return below


def circulation(prefix: Array, lengths: Array, rho: float) -> Array:
    """The `c` that minimises `sum_e lengths_e * |prefix_e - c|**rho`, `(..., 1)`; the lower one of two medians."""
    if not np.any(lengths > 0):
        return np.zeros((*prefix.shape[:-1], 1))
    if rho == 1:  # the weighted median
        order = np.argsort(prefix, axis=-1)
        weight = np.cumsum(lengths[order], axis=-1)
        half = weight[..., -1:] * (0.5 - len(lengths) * np.finfo(np.float64).eps)  # an even split is one though rounded
        median = np.argmax(weight >= half, axis=-1, keepdims=True)
        return np.take_along_axis(prefix, np.take_along_axis(order, median, axis=-1), axis=-1)
    if rho == 2:  # the weighted mean
        mean: Array = np.sum(lengths * prefix, axis=-1, keepdims=True) / np.sum(lengths)
        return mean
    # The slopes' sum falls as c grows: halve until its zero is known to 2**-64 of the prefixes' spread, more finely
    # than float64 knows the prefixes.
    low, high = np.min(prefix, axis=-1, keepdims=True), np.max(prefix, axis=-1, keepdims=True)
    for _ in range(64):
        middle = (low + high) / 2
        push = np.sum(edge_slope(prefix - middle, lengths, rho), axis=-1, keepdims=True)
        low, high = np.where(push > 0, middle, low), np.where(push > 0, high, middle)
    root: Array = (low + high) / 2
    return root


def edge_cost(phi: Array, length: Array, rho: float) -> Array:
    """What edges add to the value: `length * |phi|**rho`."""
    cost: Array = length * np.abs(phi) ** rho
    return cost


def edge_slope(phi: Array, length: Array, rho: float) -> Array:
    """The derivative of `edge_cost` by `phi`; 0 at `phi == 0`, the middle of its subgradients at `rho == 1`."""
    slope: Array = rho * length * np.abs(phi) ** (rho - 1) * np.sign(phi)
    return slope


def compared(a: ArrayLike, b: ArrayLike, space: Space, mass: str) -> tuple[Array, Array, Array, Array]:
    """Both histograms as they are compared, in float64 and one shape, and what each row was divided by, `(..., 1)`."""
    if mass not in ("equal", "normalize", "root"):
        raise ValueError(f"mass is {mass!r}; it must be 'equal', 'normalize' or 'root'")
    if mass == "root" and isinstance(space, Ring):
        raise ValueError("mass='root' on a ring, which has no root for a surplus to go to; use 'equal' or 'normalize'")
    rows = []
    for name, histogram in (("a", a), ("b", b)):
        row = np.asarray(histogram, dtype=np.float64)
        if row.shape[-1:] != (space.n,):
            raise ValueError(f"{name} has shape {row.shape}; its last axis must have the {space.n} bins of the space")
        rows.append(row)
    a, b = np.broadcast_arrays(*rows)
    if mass != "normalize":
        return a, b, np.ones((*a.shape[:-1], 1)), np.ones((*b.shape[:-1], 1))
    mass_a, mass_b = a.sum(axis=-1, keepdims=True), b.sum(axis=-1, keepdims=True)
    if not (np.all(mass_a > 0) and np.all(mass_b > 0)):
        raise ValueError("a or b has a row of mass 0, by which mass='normalize' cannot divide; leave that row out")
    return a / mass_a, b / mass_b, mass_a, mass_b


def parents_first(parent: Sequence[int] | NDArray[np.intp]) -> list[int]:
    """The nodes of a tree in an order in which every node follows its parent, whatever their numbers."""
    children: list[list[int]] = [[] for _ in parent]
    order = []
    for node, above in enumerate(parent):
        if above < 0:
            order.append(node)
        else:
            children[above].append(node)
    for node in order:  # grows while it is walked, until all children have joined
        order.extend(children[node])
    return order
