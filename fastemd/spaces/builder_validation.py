"""Validation of the arguments from which trees are built; every error text of the builders is here."""

from __future__ import annotations

import operator
from collections.abc import Hashable
from typing import Any

import numpy as np

from .validation import edge_lengths, items_of


def frame_edges(frame: Any, lengths: Any) -> tuple[list[tuple[Any, ...]], Any]:
    """Return the pairs and lengths of a frame with a row an edge, of pandas or polars.

    Its columns are parent, child and perhaps length, by name in any order, or else by position.
    """
    columns = list(frame.columns)
    others = [name for name in columns if name not in ("parent", "child")]
    if len(others) == len(columns) - 2:
        chosen = ["parent", "child", *(["length"] if "length" in others else others)]
    else:
        chosen = columns
    if len(chosen) not in (2, 3):
        raise ValueError(
            f"edges is a frame of columns {columns}. Needed: columns parent and child, and length where edges have "
            "one; name them so, or choose them, as in edges[['parent', 'child', 'length']]."
        )
    if len(chosen) == 3:
        if lengths is not None:
            raise ValueError(
                f"edges is a frame with a column {chosen[2]!r} of lengths, and there is an argument lengths. Needed: "
                f"one of them; try edges[{chosen[:2]!r}], or lengths=None."
            )
        lengths = frame[chosen[2]].to_numpy()
    return list(zip(*(frame[name].to_list() for name in chosen[:2]), strict=True)), lengths


def edge_ends(edges: Any) -> list[tuple[Hashable, Hashable]]:
    """Return edges as a list of pairs of hashable nodes, none of them a bool or a float."""
    edges = edges.tolist() if isinstance(edges, np.ndarray) else edges
    ends = []
    for e, edge in enumerate(items_of(edges, "edges", "a sequence of pairs, as in [('pet', 'dog')]")):
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
    """Return the numbers of named nodes."""
    names = items_of(bins, "bins", "a sequence of nodes")
    return [node_number(name, number, f"bins[{i}]") for i, name in enumerate(names)]


def node_number(name: Any, number: dict[Hashable, int], argument: str) -> int:
    """Return the number of a named node."""
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


def pair_lengths(lengths: Any, pairs: np.ndarray, names: list[Hashable] | None) -> np.ndarray:
    """Return the lengths of edges, which may be none; 1 each by default."""
    m = len(pairs)
    if lengths is None or (m == 0 and np.size(lengths) == 0):
        return np.ones(m)
    ends = None if names is None else [f"{names[u]} - {names[v]}" for u, v in pairs.tolist()]
    return edge_lengths(lengths, m, "lengths", "edge", names=ends)


def not_a_tree(what: str, pairs: np.ndarray, n_nodes: int, names: list[Hashable] | None = None) -> ValueError:
    """Return the error that names the edge that closes a cycle or, if none does, two nodes that are not connected."""
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
    names = items_of(labels, "labels", "a sequence of strings, one for each leaf")
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
    for i, path in enumerate(items_of(paths, "paths", "a sequence of strings")):
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
