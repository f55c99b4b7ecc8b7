"""Checks of what users hand in, and the text of every error: the argument, what came, what is needed, the mend."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

# --- Spaces -----------------------------------------------------------------------------------------------------------


def frozen_space(space: str, attribute: str) -> str:
    """Text of the error for setting or deleting an attribute."""
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


def _items(values: Any, name: str, needed: str) -> list[Any]:
    """Return what `values` iterates over; a lone string is no sequence here."""
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
    """Return a chain's positions as a new float64 array, finite and strictly increasing."""
    if positions is None:
        if n is None:
            raise TypeError("Chain got neither n nor positions. Needed: one of them, as in Chain(5).")
        return np.arange(bin_count(n), dtype=np.float64)
    x = _vector(positions, "positions", "iuf", "real numbers, strictly increasing").astype(np.float64)
    _agree(n, "positions", x)
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise ValueError(f"positions[{bad[0]}] is {x[bad[0]]}. Needed: finite numbers; drop that bin or place it.")
    falling = np.flatnonzero(x[1:] <= x[:-1])
    if falling.size:
        i = falling[0]
        raise ValueError(
            f"positions[{i + 1}] is {x[i + 1]}, after positions[{i}] = {x[i]}. Needed: strictly increasing float64 "
            "numbers; sort them with numpy.unique, and the histograms alike."
        )
    if x[-1] / 2 - x[0] / 2 > np.finfo(np.float64).max / 2:  # halves, lest the test itself overflow
        raise ValueError(f"positions reach from {x[0]} to {x[-1]}. Needed: a finite span; divide them by a constant.")
    return x + 0.0  # -0.0 becomes 0.0, so that equal spaces hash alike


def ring_lengths(n: Any, lengths: Any) -> np.ndarray:
    """Return a ring's lengths as a new float64 array, finite and not negative."""
    if lengths is None:
        if n is None:
            raise TypeError("Ring got neither n nor lengths. Needed: one of them, as in Ring(360).")
        return np.ones(bin_count(n))
    array = _vector(lengths, "lengths", "iuf", "real numbers, one for each edge")
    _agree(n, "lengths", array)
    return edge_lengths(array, len(array), "lengths", "edge")


def edge_lengths(lengths: Any, count: int, name: str, item: str, root: int | None = None) -> np.ndarray:
    """Return `count` lengths as a new float64 array, finite and not negative; that of the root, if any, is set to 0."""
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
    """Raise where some node is not among those `reached` from the root."""
    if len(reached) == len(parent):
        return
    v = int(np.setdiff1d(np.arange(len(parent)), reached, assume_unique=True)[0])
    raise ValueError(
        f"parent runs in a cycle, {_cycle(parent, v)}, so that node {v} never reaches the root. Needed: a tree; "
        "give one node of the cycle a parent outside of it."
    )


def _cycle(parent: np.ndarray, v: int) -> str:
    """Write down the cycle that the way up from `v` ends in."""
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
    names = _items(labels, "labels", "a sequence of strings, one for each node")
    if len(names) != n_nodes:
        raise ValueError(
            f"labels holds {len(names)} names for {n_nodes} nodes. Needed: one for each node, inner nodes included; "
            "an empty string will do."
        )
    for v, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"labels[{v}] is of type {type(name).__name__}. Needed: strings; convert with str.")
    return tuple(map(str, names))


# --- What trees are built from ----------------------------------------------------------------------------------------


def one_of(value: Any, choices: Iterable[str], name: str) -> str:
    """Return `value` if it is one of the choices."""
    shown = ", ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}. Needed: a string, one of {shown}.")
    if value not in choices:
        raise ValueError(f"{name} is {value!r}. Needed: one of {shown}.")
    return value


def edge_ends(edges: Any) -> list[tuple[Hashable, Hashable]]:
    """Return edges as a list of pairs of hashable nodes, none of them a bool or a float."""
    edges = edges.tolist() if isinstance(edges, np.ndarray) else edges
    ends = []
    for e, edge in enumerate(_items(edges, "edges", "a sequence of pairs, as in [('pet', 'dog')]")):
        try:
            pair = () if isinstance(edge, str) else tuple(edge)
        except TypeError:
            pair = ()
        if len(pair) != 2:
            raise ValueError(f"edges[{e}] is {edge!r}. Needed: a pair of nodes; write lengths as lengths=.")
        for node in pair:
            if isinstance(node, bool | np.bool_ | float | np.floating) or not isinstance(node, Hashable):
                raise TypeError(
                    f"edges[{e}] names a node by the {type(node).__name__} {node!r}. Needed: ints from 0, strings or "
                    "other hashable names; convert with int or str."
                )
        ends.append(pair)
    return ends


def numbered_edges(edges: np.ndarray) -> np.ndarray:
    """Return edges as an intp array of shape (m, 2), each end from 0 to m."""
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"edges has shape {edges.shape}. Needed: (n_nodes - 1, 2), the two ends of each edge.")
    m = len(edges)
    outside = np.argwhere((edges < 0) | (edges > m))
    if outside.size:
        e, side = outside[0]
        raise ValueError(
            f"edges[{e}] names node {edges[e, side]}, but the {m + 1} nodes of a tree of {m} edges are numbered from 0 "
            f"to {m}. Needed: numbers without gaps; or use names, such as strings."
        )
    return edges.astype(np.intp)


def named_bins(bins: Any, number: dict[Hashable, int]) -> list[int]:
    """Return the number of each of the nodes of those names."""
    names = _items(bins, "bins", "a sequence of nodes")
    return [node_number(name, number, f"bins[{i}]") for i, name in enumerate(names)]


def node_number(name: Any, number: dict[Hashable, int], argument: str) -> int:
    """Return the number of the node of that name."""
    if isinstance(name, Hashable) and name in number:
        return number[name]
    raise ValueError(f"{argument} is {name!r}, which no edge names. Needed: a node that stands in edges.")


def tree_root(root: Any, n_nodes: int) -> int:
    """Return the root as an int from 0 to n_nodes - 1."""
    try:
        if isinstance(root, bool | np.bool_):
            raise TypeError
        root = operator.index(root)
    except TypeError:
        raise TypeError(f"root is {root!r}. Needed: a node number, an int.") from None
    if not 0 <= root < n_nodes:
        raise ValueError(f"root is {root}. Needed: one of the {n_nodes} nodes, 0 to {n_nodes - 1}.")
    return root


def pair_lengths(lengths: Any, m: int) -> np.ndarray:
    """Return the lengths of m edges, which may be none; 1 each by default."""
    if lengths is None or (m == 0 and np.size(lengths) == 0):
        return np.ones(m)
    return edge_lengths(lengths, m, "lengths", "edge")


def not_a_tree(what: str, pairs: np.ndarray, n_nodes: int, names: list[Hashable] | None = None) -> ValueError:
    """Error that tells where edges close a cycle or, failing that, fall apart."""
    up = list(range(n_nodes))

    def top(v: int) -> int:
        while up[v] != v:
            up[v] = v = up[up[v]]
        return v

    def called(v: int) -> str:
        return repr(v if names is None else names[v])

    for e, (u, v) in enumerate(pairs.tolist()):
        if top(u) == top(v):
            return ValueError(
                f"{what} close a cycle: number {e}, of {called(u)} and {called(v)}, joins what was joined before. "
                "Needed: a tree, n_nodes - 1 edges without a cycle; drop that edge, or take "
                "scipy.sparse.csgraph.minimum_spanning_tree."
            )
        up[top(u)] = top(v)
    apart = next(v for v in range(n_nodes) if top(v) != top(0))
    return ValueError(
        f"{what} fall apart: no way leads from node {called(0)} to node {called(apart)}. Needed: a tree, which hangs "
        "together; join the parts by edges."
    )


def sparse_edges(graph: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of an undirected sparse graph, each once: an intp array of shape (m, 2), and their lengths."""
    if not (hasattr(graph, "tocsr") and hasattr(graph, "nnz")):
        raise TypeError(
            f"graph is of type {type(graph).__name__}. Needed: a scipy.sparse array; convert with "
            "scipy.sparse.coo_array(graph)."
        )
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1] or graph.shape[0] == 0:
        raise ValueError(f"graph has shape {graph.shape}. Needed: (n_nodes, n_nodes), at least one node.")
    entries = graph.tocsr().tocoo()  # csr adds entries up that are stored twice
    u, v = np.minimum(entries.row, entries.col), np.maximum(entries.row, entries.col)
    loops = np.flatnonzero(u == v)
    if loops.size:
        raise ValueError(
            f"graph[{u[loops[0]]}, {u[loops[0]]}] joins a node to itself. Needed: nothing stored on the diagonal; "
            "remove it with graph.setdiag(0) and graph.eliminate_zeros()."
        )
    order = np.lexsort((v, u))
    pairs, data = np.stack([u, v], axis=1)[order].astype(np.intp), entries.data[order]
    again = np.zeros(len(pairs), dtype=bool)
    again[1:] = np.all(pairs[1:] == pairs[:-1], axis=1)
    differ = np.flatnonzero(again[1:] & (data[1:] != data[:-1]))
    if differ.size:
        i, j = pairs[differ[0]]
        raise ValueError(
            f"graph[{i}, {j}] and graph[{j}, {i}] are {data[differ[0]]} and {data[differ[0] + 1]}. Needed: the same "
            "length in both triangles, or one triangle alone; keep scipy.sparse.triu(graph)."
        )
    pairs, data = pairs[~again], data[~again]
    if len(pairs):
        data = edge_lengths(data, len(data), "graph.data", "edge")
    if len(pairs) != graph.shape[0] - 1:
        raise not_a_tree("the edges of graph", pairs, graph.shape[0])
    return pairs, data


def linkage(Z: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the merged clusters, intp of shape (n - 1, 2), and the heights (n - 1,) of a linkage."""
    array = np.asarray(Z)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"Z has shape {array.shape}. Needed: (n - 1, 4), as scipy.cluster.hierarchy.linkage returns.")
    if array.dtype.kind not in "iuf":
        raise TypeError(f"Z has dtype {array.dtype}. Needed: real numbers, as scipy.cluster.hierarchy.linkage returns.")
    n = len(array) + 1
    clusters, heights = array[:, :2], array[:, 2].astype(np.float64)
    made = np.arange(n, 2 * n - 1)[:, None]
    bad = np.argwhere(~((clusters >= 0) & (clusters < made) & (clusters == np.floor(clusters))))
    if bad.size:
        k, side = bad[0]
        raise ValueError(
            f"Z[{k}, {side}] is {clusters[k, side]}. Needed: the number of a leaf, below {n}, or of a cluster that an "
            f"earlier row made, below {n + k}; take Z from scipy.cluster.hierarchy.linkage."
        )
    merged = clusters.astype(np.intp)
    times = np.bincount(merged.ravel(), minlength=2 * n - 2)
    if n > 1 and times.max() > 1:
        raise ValueError(
            f"Z merges cluster {np.argmax(times)} {times.max()} times. Needed: each cluster merged once; take Z from "
            "scipy.cluster.hierarchy.linkage."
        )
    below = np.concatenate([np.zeros(n), heights])[merged].max(axis=1)
    falling = np.flatnonzero(~(np.isfinite(heights) & (heights >= below)))
    if falling.size:
        k = falling[0]
        raise ValueError(
            f"Z[{k}, 2] is {heights[k]}. Needed: a finite height, not below {below[k]}, that of the clusters merged; "
            "use method 'single', 'complete', 'average', 'weighted' or 'ward', whose heights never fall."
        )
    return merged, heights


def leaf_labels(labels: Any, n: int) -> list[str]:
    """Return the names of the n leaves of a linkage."""
    names = _items(labels, "labels", "a sequence of strings, one for each leaf")
    if len(names) != n:
        raise ValueError(
            f"labels holds {len(names)} names for {n} leaves. Needed: one for each leaf; inner nodes get none."
        )
    return names


def paths(paths: Any, sep: Any) -> list[tuple[str, ...]]:
    """Return the components of each path."""
    if not isinstance(sep, str) or not sep:
        raise TypeError(f"sep is {sep!r}. Needed: a string of at least one character, such as '/'.")
    first: dict[tuple[str, ...], int] = {}
    for i, path in enumerate(_items(paths, "paths", "a sequence of strings")):
        if not isinstance(path, str):
            raise TypeError(f"paths[{i}] is of type {type(path).__name__}. Needed: strings; join with {sep!r}.join.")
        route = tuple(path.split(sep))
        if "" in route:
            raise ValueError(
                f"paths[{i}] is {path!r}, with an empty component. Needed: names between single {sep!r}; "
                f"path.strip({sep!r}) removes those at the ends."
            )
        if route in first:
            raise ValueError(f"paths[{i}] is {path!r}, as is paths[{first[route]}]. Needed: each path once; drop one.")
        first[route] = i
    if not first:
        raise ValueError("paths is empty. Needed: at least one path; a space has at least one bin.")
    return list(first)


def level_lengths(lengths: Any, levels: int) -> np.ndarray:
    """Return the length of the edges of each of the levels below the root."""
    if levels == 0 and np.size(lengths) == 0:
        return np.zeros(0)
    if np.ndim(lengths) == 0:
        lengths = np.full(max(levels, 1), lengths)
    array = edge_lengths(lengths, np.size(lengths), "lengths", "level")
    if len(array) < levels:
        raise ValueError(f"lengths holds {len(array)} numbers for {levels} levels of edges. Needed: one per level.")
    return array


def thread_count(count: Any) -> int:
    """Return a number of threads as an int of at least 1."""
    try:
        if isinstance(count, bool | np.bool_):
            raise TypeError
        threads = operator.index(count)
    except TypeError:
        raise TypeError(f"count is of type {type(count).__name__}. Needed: a number of threads, an int.") from None
    if threads < 1:
        raise ValueError(f"count is {threads}. Needed: at least 1 thread.")
    return threads
