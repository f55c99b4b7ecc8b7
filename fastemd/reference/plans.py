"""From histograms to plans."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..spaces import Ring, Tree
from .flows import Array, Space, compared, optimal_flow, parents_first


def plan(a: ArrayLike, b: ArrayLike, space: Space, *, mass: str = "equal") -> Any:
    """A coupling of least cost (`rho = 1`): entry (i, j) is the mass that goes from bin i to bin j.

    What both rows have in a bin stays there. The rest climbs from the leaves, and supply meets demand as soon as a
    node has both; hence no edge is ever crossed in both directions, and the cost is the value. A chain is a tree whose
    root is its last bin; a ring is a chain once it is cut at an edge without flow.

    Parameters
    ----------
    a, b, space, mass
        As for `flow`. Under "root" the surplus is booked at the root's bin; if the root has none, it is left out.

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (n, n), or an object ndarray (...) of them
        At most 2 n - 1 entries. Rows sum to `a` and columns to `b`, up to the difference of their masses.

    Raises
    ------
    ValueError
        As `flow`.

    Examples
    --------
    >>> from fastemd import Chain, reference
    >>> reference.plan([3, 0, 0, 0], [1, 0, 0, 2], Chain(4)).toarray()
    array([[1., 0., 0., 2.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]])
    """
    a, b, _, _ = compared(a, b, space, mass)
    if a.ndim > 1:
        plans = np.empty(a.shape[:-1], dtype=object)
        for row in np.ndindex(plans.shape):
            plans[row] = plan(a[row], b[row], space, mass="equal" if mass == "normalize" else mass)
        return plans

    if isinstance(space, Tree):
        parent, bins = space.parent, space.bins
    else:
        first = 0  # the bin where the chain starts
        if isinstance(space, Ring):
            first = int(np.argmin(np.abs(optimal_flow(a - b, space, rho=1)))) + 1
        parent = np.append(np.arange(1, space.n), -1)
        bins = (np.arange(space.n) - first) % space.n
    if mass == "root":
        surplus = np.where(parent[bins] < 0, np.sum(a) - np.sum(b), 0.0)
        a, b = a + np.maximum(-surplus, 0.0), b + np.maximum(surplus, 0.0)
    return matched(a, b, parent, bins)


def matched(a: Array, b: Array, parent: NDArray[np.intp], bins: NDArray[np.intp]) -> Any:
    """The plan of two rows on a tree, as `plan` describes it."""
    from scipy.sparse import csr_array

    entries = [(i, i, stays) for i, stays in enumerate(np.minimum(a, b)) if stays > 0]
    supply: list[list[list[Any]]] = [[] for _ in parent]  # of each node: [bin, what it still has]
    demand: list[list[list[Any]]] = [[] for _ in parent]  # of each node: [bin, what it still needs]
    for i, node in enumerate(bins):
        if a[i] > b[i]:
            supply[node].append([i, a[i] - b[i]])
        elif b[i] > a[i]:
            demand[node].append([i, b[i] - a[i]])
    for node in reversed(parents_first(parent)):
        while supply[node] and demand[node]:
            (i, has), (j, needs) = giver, taker = supply[node][-1], demand[node][-1]
            moved = min(has, needs)
            entries.append((i, j, moved))
            giver[1], taker[1] = has - moved, needs - moved
            if giver[1] == 0:
                supply[node].pop()
            if taker[1] == 0:
                demand[node].pop()
        if parent[node] >= 0:
            supply[parent[node]] += supply[node]
            demand[parent[node]] += demand[node]
    rows, columns, amounts = zip(*entries, strict=True) if entries else ((), (), ())
    return csr_array((np.array(amounts, dtype=np.float64), (rows, columns)), shape=(len(a), len(a)))
