"""Transport plans of rows: a path or tree to match on, a kernel that matches, a sparse array for each row."""

from __future__ import annotations

from typing import Any

import numpy as np

from .space import Space


def plan_rows(a: np.ndarray, b: np.ndarray, phi: np.ndarray, good: np.ndarray, space: Space, mass: str) -> np.ndarray:
    """Return an object array of the plans of rows a, b (..., n) with flows phi; None where a row is not `good`."""
    from scipy.sparse import csr_array

    from .cpu.wing import match

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
        up, place = _ways(space, phi[row])
        count = match(x - y, up, place, source, sink, amount)
        stays = np.minimum(x, y)
        kept = bins[stays > 0]
        rows = np.concatenate([kept, source[:count]])
        columns = np.concatenate([kept, sink[:count]])
        plans[row] = csr_array((np.concatenate([stays[kept], amount[:count]]), (rows, columns)), shape=(n, n))
    return plans


def _ways(space: Any, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return parents and the nodes of the bins, parents first, of a tree on which the flow is phi.

    A chain is a path that ends at its last bin. A ring is cut open at an edge without flow; there is at least one.
    """
    if space.kind == "tree":
        return space.arrays.up, space.arrays.place
    return _line(space.n, int(np.argmin(abs(phi))) + 1 if space.kind == "ring" else 0)


def _line(n: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the path of bins start, start + 1, ..., around to start - 1, which is the root."""
    up = np.maximum(np.arange(n) - 1, 0)
    place = np.empty(n, np.intp)
    place[(start + np.arange(n)) % n] = np.arange(n)[::-1]
    return up, place
