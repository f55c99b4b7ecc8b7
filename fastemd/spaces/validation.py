"""Validation of the arguments of spaces.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

EXACT_INTEGERS = 2**53  # float64 holds every whole number up to it


def frozen_space(space: str, attribute: str) -> str:
    """Return the error text for setting or deleting an attribute."""
    return f"{space}.{attribute} cannot be set: spaces are immutable. Build a new {space} instead."


def _vector(values: Any, name: str, kinds: str, needed: str) -> np.ndarray:
    """Return `values` as an array of one axis whose dtype is one of `kinds`, not empty; the caller copies it."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array ({error}). Needed: {needed}.") from None
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}. Needed: {needed}, along one axis; try {name}.ravel().")
    if array.size == 0:
        raise ValueError(f"{name} is empty. Needed: {needed}, at least one; a space has at least one bin.")
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} has dtype {array.dtype}. Needed: {needed}; convert with numpy.asarray({name}, dtype).")
    return array


def items_of(values: Any, name: str, needed: str) -> list[Any]:
    """Return the items of a sequence; a single string is refused."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is {values!r}. Needed: {needed}; put it in a list.")
    return list(values)


def bin_count(n: Any) -> int:
    """Return the number of bins of a chain or ring as an int of at least 1."""
    try:
        if isinstance(n, bool | np.bool_):
            raise TypeError
        count = operator.index(n)
    except TypeError:
        raise TypeError(
            f"n is of type {type(n).__name__}. Needed: the number of bins, an int; give arrays by their name, "
            "as in Chain(positions=x) and Ring(lengths=l)."
        ) from None
    if count < 1:
        raise ValueError(f"n is {count}. Needed: at least 1 bin.")
    return count


def _agree(n: Any, name: str, array: np.ndarray) -> None:
    if n is not None and bin_count(n) != len(array):
        raise ValueError(f"n is {n} but {name} holds {len(array)}. Needed: one for each bin; leave n out.")


def chain_positions(n: Any, positions: Any) -> np.ndarray:
    """Return a chain's positions as a new array, finite and strictly increasing.

    The array is float64, or int64 where the positions are whole numbers that float64 does not hold exactly.
    """
    if positions is None:
        if n is None:
            raise TypeError("Chain got neither n nor positions. Needed: one of them, as in Chain(5).")
        return np.arange(bin_count(n), dtype=np.float64)
    given = _vector(positions, "positions", "iufmM", "real numbers or dates, strictly increasing")
    if given.dtype.kind in "mM":
        given = _counted(given)
    _agree(n, "positions", given)
    if given.dtype.kind in "iu" and given.size and max(abs(int(given.min())), abs(int(given.max()))) > EXACT_INTEGERS:
        return _whole_positions(given)
    x = given.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise ValueError(f"positions[{bad[0]}] is {x[bad[0]]}. Needed: finite numbers; drop that bin or place it.")
    _require_increasing(x, "float64 numbers")
    if x[-1] / 2 - x[0] / 2 > np.finfo(np.float64).max / 2:  # halves, lest the test itself overflow
        raise ValueError(f"positions reach from {x[0]} to {x[-1]}. Needed: a finite span; divide them by a constant.")
    return x + 0.0  # -0.0 becomes 0.0, so that equal spaces hash alike


def _counted(positions: np.ndarray) -> np.ndarray:
    """Return dates or durations as whole numbers of their unit."""
    bad = np.flatnonzero(np.isnat(positions))
    if bad.size:
        raise ValueError(f"positions[{bad[0]}] is NaT. Needed: dates or durations; drop that bin.")
    return positions.astype(np.int64)


def _require_increasing(x: np.ndarray, numbers: str) -> None:
    falling = np.flatnonzero(x[1:] <= x[:-1])
    if falling.size:
        i = falling[0]
        raise ValueError(
            f"positions[{i + 1}] is {x[i + 1]}, after positions[{i}] = {x[i]}. Needed: strictly increasing {numbers}; "
            "sort them with numpy.unique, and the histograms alike."
        )


def _whole_positions(positions: np.ndarray) -> np.ndarray:
    """Return large whole numbers as int64, so that their differences are exact."""
    if int(positions.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"positions reach {positions.max()}. Needed: at most 2**63 - 1; subtract the first of them.")
    x = positions.astype(np.int64)
    if int(x.max()) - int(x.min()) > np.iinfo(np.int64).max:
        raise ValueError(f"positions reach from {x.min()} to {x.max()}. Needed: a span below 2**63; divide them first.")
    _require_increasing(x, "numbers")
    return x


def ring_lengths(n: Any, lengths: Any) -> np.ndarray:
    """Return a ring's lengths as a new float64 array, finite and not negative."""
    if lengths is None:
        if n is None:
            raise TypeError("Ring got neither n nor lengths. Needed: one of them, as in Ring(360).")
        return np.ones(bin_count(n))
    array = _vector(lengths, "lengths", "iuf", "real numbers, one for each edge")
    _agree(n, "lengths", array)
    return edge_lengths(array, len(array), "lengths", "edge")


def edge_lengths(
    lengths: Any, count: int, name: str, item: str, root: int | None = None, names: Sequence[str] | None = None
) -> np.ndarray:
    """Return `count` lengths as a new float64 array, finite and not negative; that of the root, if any, is set to 0.

    `names` are those of the items, for an error text.
    """
    missing = [v for v in _missing(lengths) if v != root]
    if missing and np.size(lengths) == count:
        some = ", ".join(f"{v} ({names[v]!r})" if names else str(v) for v in missing[:5])
        more = ", ..." if missing[5:] else ""
        raise ValueError(
            f"{name}[{missing[0]}] is {lengths[missing[0]]}: {len(missing)} of {count} {item}s have no length, "
            f"{some}{more}. Needed: a length, finite and not negative, for each {item}; set it to a number, such as 0 "
            "or 1."
        )
    if root is not None and np.ndim(lengths) == 1 and len(lengths) == count and _missing([lengths[root]]):
        lengths = [0.0 if v == root else length for v, length in enumerate(lengths)]
    array = _vector(lengths, name, "iuf", f"real numbers, one for each {item}").astype(np.float64)
    if len(array) != count:
        raise ValueError(f"{name} holds {len(array)} numbers for {count} {item}s. Needed: one for each {item}.")
    if root is not None:
        array[root] = 0.0
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        v = bad[0]
        mend = "take its absolute value or set it to 0" if array[v] < 0 else "set it to a number, or drop that edge"
        raise ValueError(f"{name}[{v}] is {array[v]}. Needed: finite lengths, not negative; {mend}.")
    with np.errstate(over="ignore"):
        if np.isinf(array.sum()):
            raise ValueError(f"{name} sum to inf in float64. Needed: a finite total; divide them by a constant.")
    return array + 0.0  # -0.0 becomes 0.0, so that equal spaces hash alike


def _missing(lengths: Any) -> list[int]:
    """Return the places of None and NaN in lengths along one axis."""
    if isinstance(lengths, np.ndarray) and lengths.dtype.kind in "iuf":
        return np.flatnonzero(np.isnan(lengths)).tolist() if lengths.dtype.kind == "f" and lengths.ndim == 1 else []
    if isinstance(lengths, str | bytes) or not isinstance(lengths, Iterable):
        return []
    return [v for v, x in enumerate(lengths) if x is None or (isinstance(x, float) and x != x) or str(x) == "<NA>"]


def tree_parents(parent: Any) -> tuple[np.ndarray, int]:
    """Return the parents as a new intp array with -1 at the one root, and the root. Cycles: see `no_cycle`."""
    needed = "whole numbers, the parent of each node, and -1 at the root"
    array = _vector(parent, "parent", "iu", needed)
    n = len(array)
    outside = np.flatnonzero((array < -1) | (array >= n))
    if outside.size:
        v = outside[0]
        raise ValueError(
            f"parent[{v}] is {array[v]}, and the {n} nodes are numbered from 0 to {n - 1}. Needed: {needed}; "
            "number the nodes from 0."
        )
    array = array.astype(np.intp)
    roots = np.flatnonzero((array == -1) | (array == np.arange(n)))
    if roots.size == 0:
        raise ValueError(
            f"parent has no root: it runs in a cycle, {_cycle(array, 0)}. Needed: exactly one node whose parent is -1 "
            "or itself; set parent[root] = -1."
        )
    if roots.size > 1:
        raise ValueError(
            f"parent has {roots.size} roots, nodes {roots[0]} and {roots[1]} first. Needed: exactly one node whose "
            "parent is -1 or itself; hang the others on it, or all of them on a new node."
        )
    array[roots] = -1
    return array, int(roots[0])


def no_cycle(parent: np.ndarray, reached: np.ndarray) -> None:
    """Raise if a node is not among those `reached` from the root."""
    if len(reached) == len(parent):
        return
    v = int(np.setdiff1d(np.arange(len(parent)), reached, assume_unique=True)[0])
    raise ValueError(
        f"parent runs in a cycle, {_cycle(parent, v)}, so that node {v} never reaches the root. Needed: a tree; "
        "give one node of the cycle a parent outside of it."
    )


def _cycle(parent: np.ndarray, v: int) -> str:
    """Return, as text, the cycle in which the path up from `v` ends."""
    seen: dict[int, None] = {}
    while v not in seen:
        seen[v] = None
        v = int(parent[v])
    nodes = list(seen)
    nodes = [*nodes[nodes.index(v) :], v]
    shown = nodes if len(nodes) <= 8 else [*nodes[:6], "...", v]
    return " -> ".join(map(str, shown))


def tree_bins(bins: Any, n_nodes: int) -> np.ndarray:
    """Return the node of each bin as a new intp array, each in range and none twice."""
    if bins is None:
        return np.arange(n_nodes, dtype=np.intp)
    array = _vector(bins, "bins", "iu", "whole numbers, the node of each bin")
    outside = np.flatnonzero((array < 0) | (array >= n_nodes))
    if outside.size:
        i = outside[0]
        raise ValueError(
            f"bins[{i}] is {array[i]}, and the {n_nodes} nodes are numbered from 0 to {n_nodes - 1}. "
            "Needed: the node of each bin."
        )
    array = array.astype(np.intp)
    first = np.full(n_nodes, -1)
    first[array[::-1]] = np.arange(len(array))[::-1]
    again = np.flatnonzero(first[array] != np.arange(len(array)))
    if again.size:
        i = again[0]
        raise ValueError(
            f"bins[{i}] is node {array[i]}, which bins[{first[array[i]]}] is already. Needed: a node of its own for "
            "each bin; add the two bins up, or hang a new node on that one by an edge of length 0."
        )
    return array


def tree_labels(labels: Sequence[str] | None, n_nodes: int) -> tuple[str, ...] | None:
    """Return the names of the nodes as a tuple of plain strings, one for each node."""
    if labels is None:
        return None
    names = items_of(labels, "labels", "a sequence of strings, one for each node")
    if len(names) != n_nodes:
        raise ValueError(
            f"labels holds {len(names)} names for {n_nodes} nodes. Needed: one for each node, inner nodes included; "
            "an empty string will do."
        )
    for v, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"labels[{v}] is of type {type(name).__name__}. Needed: strings; convert with str.")
    return tuple(map(str, names))
