"""Transport plans: the tree on which masses are matched, and one sparse array for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.device import DeviceArray
from ..arrays.placement import host_memory_error
from ..spaces.base import Space
from .call import Output, histogram_problem, solve
from .validation import PLAN_MASSES, mass_policy, space_of


def plan(a: ArrayLike, b: ArrayLike, space: Space, *, mass: str = "equal", check: bool = True) -> Any:
    """Optimal transport plan: how much mass goes from which bin to which.

    Parameters
    ----------
    a, b, space, check
        As for `emd`, in host memory.
    mass : {"equal", "normalize"}, optional
        As for `emd`. A plan has both histograms as marginals, so a surplus has nowhere to go.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n), float64
        Entry (i, j) is the mass that goes from bin i to bin j; at most 2 n - 1 entries. Rows sum to a, columns to b,
        and the cost, ``(plan * space.cost_matrix()).sum()``, is ``emd(a, b)``. A batch gives an object array of plans,
        of the batch's shape; under ``check=False`` a bad row's plan is None.

    Raises
    ------
    TypeError, ValueError
        As `emd`.

    Notes
    -----
    Time O(n), on trees O(nodes), a row. What can stay in its bin stays; the rest is matched from the leaves to the
    root, so that no edge is crossed in both directions, which is what makes the plan optimal.

    Examples
    --------
    >>> import fastemd as fe
    >>> fe.plan([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], fe.Chain(3)).toarray()
    array([[0. , 0. , 0.5],
           [0. , 0.5, 0. ],
           [0. , 0. , 0. ]])
    """
    mass_policy(mass, space_of(space), PLAN_MASSES)
    problem = histogram_problem(a, b, space, 1, mass)._replace(caller=None)
    if isinstance(problem.a, DeviceArray):
        raise host_memory_error(problem.a, "a", "a plan is a sparse array of scipy's")
    phi = np.empty((*problem.batch, problem.space.m), problem.dtype)
    good = ~np.isnan(solve(problem, "flow", Output(phi), check)[0])
    shape = (*problem.batch, problem.space.n)
    a, b = np.broadcast_to(problem.a, shape), np.broadcast_to(problem.b, shape)
    rows = _plan_rows(a, b, phi, good, problem.space, mass)
    return rows[()] if problem.batch else rows.item()


def _plan_rows(a: np.ndarray, b: np.ndarray, phi: np.ndarray, good: np.ndarray, space: Space, mass: str) -> np.ndarray:
    """Return an object array of the plans of rows a, b (..., n) with flows phi; None where a row is not `good`."""
    from scipy.sparse import csr_array

    from ..cpu.exact.launch import match

    n = space.n
    plans = np.empty(a.shape[:-1], dtype=object)
    source, sink, amount = np.empty(n, np.intp), np.empty(n, np.intp), np.empty(n)
    bins = np.arange(n)
    for row in np.ndindex(plans.shape):
        if not good[row]:
            continue
        x, y = (row_of[row].astype(np.float64) for row_of in (a, b))
        if mass == "normalize":
            x, y = x / x.sum(), y / y.sum()
        up, place = _matching_tree(space, phi[row])
        count = match(x - y, up, place, source, sink, amount)
        stays = np.minimum(x, y)
        kept = bins[stays > 0]
        rows = np.concatenate([kept, source[:count]])
        columns = np.concatenate([kept, sink[:count]])
        plans[row] = csr_array((np.concatenate([stays[kept], amount[:count]]), (rows, columns)), shape=(n, n))
    return plans


def _matching_tree(space: Any, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return parents and the nodes of the bins, parents first, of a tree on which the flow is phi.

    A chain is a path that ends at its last bin. A ring is cut open at an edge without flow; there is at least one.
    """
    if space.kind == "tree":
        return space.arrays.up, space.arrays.place
    return _path(space.n, int(np.argmin(abs(phi))) + 1 if space.kind == "ring" else 0)


def _path(n: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the path of bins start, start + 1, ..., around to start - 1, which is the root."""
    up = np.maximum(np.arange(n) - 1, 0)
    place = np.empty(n, np.intp)
    place[(start + np.arange(n)) % n] = np.arange(n)[::-1]
    return up, place
