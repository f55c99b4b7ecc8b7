"""Builders of trees: from edges, sparse graphs, linkages and paths, and from the hierarchies that are shipped.

Each function returns the four arguments of `fastemd.Tree`: parent, length, bins, labels. The methods `Tree.from_edges`
and so on pass them on. What a function here does not check (lengths, bins, labels, cycles), the Tree checks.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.frames import PACKAGES
from ..arrays.host import package_of
from ..arrays.inputs import one_of
from ..data import table
from . import builder_validation


class TreeParts(NamedTuple):
    """The arguments of `fastemd.Tree`."""

    parent: np.ndarray
    length: np.ndarray
    bins: Any = None
    labels: Sequence[str] | None = None


def from_edges(
    edges: Iterable[tuple[Hashable, Hashable]] | np.ndarray,
    lengths: ArrayLike | None = None,
    *,
    root: Hashable | None = None,
    bins: Iterable[Hashable] | None = None,
    labels: Sequence[str] | None = None,
) -> TreeParts:
    """Hang a tree, given by its edges, on a root.

    Parameters
    ----------
    edges : iterable of pairs, array_like of shape (n_nodes - 1, 2), or frame of pandas or polars
        The two ends of each edge, in either order: numbers 0 .. n_nodes - 1, or else names (anything hashable).
        Names are numbered in the order in which they come up. A frame has columns parent and child and perhaps length,
        by name or else by position, a row an edge.
    lengths : array_like, shape (n_nodes - 1,), optional
        Length of each edge; 1 by default.
    root : node, optional
        By default the node that is never second, if the pairs read as (parent, child) throughout; else the first node.
    bins : iterable of nodes, optional
        Node of each bin, as a name where edges join names; every node by default.
    labels : sequence of str, optional
        Names of the nodes by number; by default the names that edges join, if they do.

    Returns
    -------
    TreeParts
        parent, length, bins, labels.

    Raises
    ------
    TypeError, ValueError
        If the edges are no pairs, close a cycle or do not hang together, or if `root` or a bin is no node of theirs.

    Examples
    --------
    >>> from fastemd.spaces.builders import from_edges
    >>> from_edges([(0, 1), (2, 1)], [5, 7], root=1).parent
    array([ 1, -1,  1])
    >>> from_edges([("pet", "dog"), ("pet", "cat")]).labels
    ('pet', 'dog', 'cat')
    """
    if package_of(edges) in PACKAGES:
        edges, lengths = builder_validation.frame_edges(edges, lengths)
    pairs, names = _pairs(edges)
    if names is not None:
        number = {name: v for v, name in enumerate(names)}
        root = None if root is None else builder_validation.node_number(root, number, "root")
        bins = None if bins is None else builder_validation.named_bins(bins, number)
        labels = tuple(map(str, names)) if labels is None else labels
    root = _top(pairs) if root is None else builder_validation.tree_root(root, len(pairs) + 1)
    lengths = builder_validation.pair_lengths(lengths, pairs, names)
    return TreeParts(*_hang("edges", pairs, lengths, root, names), bins, labels)


def from_sparse(
    graph: Any, *, root: int = 0, bins: ArrayLike | None = None, labels: Sequence[str] | None = None
) -> TreeParts:
    """Hang a tree, given as a sparse graph such as `scipy.sparse.csgraph.minimum_spanning_tree` returns, on a root.

    Parameters
    ----------
    graph : scipy.sparse array or matrix, shape (n_nodes, n_nodes)
        Entry (u, v) is the length of the edge between u and v; stored zeros are edges of length 0. Each edge may stand
        in either triangle or, with the same length, in both.
    root : int
        Node to hang the tree on.
    bins : array_like of int, optional
        Node of each bin; every node by default.
    labels : sequence of str, optional
        Names of the nodes.

    Returns
    -------
    TreeParts
        parent, length, bins, labels.

    Raises
    ------
    TypeError, ValueError
        If `graph` is not sparse, not square or no tree, or if two triangles disagree.

    Examples
    --------
    >>> from scipy.sparse import coo_array
    >>> from fastemd.spaces.builders import from_sparse
    >>> from_sparse(coo_array(([2.0, 3.0], ([1, 2], [0, 1])), shape=(3, 3)), root=2).parent
    array([ 1,  2, -1])
    """
    pairs, lengths = builder_validation.sparse_edges(graph)
    return TreeParts(
        *_hang("the edges of graph", pairs, lengths, builder_validation.tree_root(root, len(pairs) + 1)), bins, labels
    )


def from_linkage(Z: ArrayLike, *, labels: Sequence[str] | None = None) -> TreeParts:
    """Turn a hierarchical clustering into a tree whose leaves are the bins.

    The distance of two leaves is their cophenetic distance, the height h at which their clusters merge: an edge is half
    as long as the height of the node above it exceeds that of the node below, leaves being at height 0.

    Parameters
    ----------
    Z : array_like, shape (n - 1, 4)
        As returned by `scipy.cluster.hierarchy.linkage`: row k merges clusters Z[k, 0] and Z[k, 1] at height Z[k, 2]
        into cluster n + k. Heights must not fall from a cluster to the one that it is merged into.
    labels : sequence of str, length n, optional
        Names of the leaves. Inner nodes are named by an empty string.

    Returns
    -------
    TreeParts
        parent, length, bins, labels of the 2 n - 1 nodes; bin i is leaf i.

    Raises
    ------
    TypeError, ValueError
        If `Z` is no linkage, or if its heights fall, as those of method "centroid" and "median" may.

    Examples
    --------
    >>> from fastemd.spaces.builders import from_linkage
    >>> from_linkage([[0, 1, 2.0, 2], [2, 3, 6.0, 3]]).length
    array([1., 1., 3., 2., 0.])
    """
    merged, heights = builder_validation.linkage(Z)
    n = len(merged) + 1
    height = np.concatenate([np.zeros(n), heights])
    parent = np.full(2 * n - 1, -1, dtype=np.intp)
    parent[merged] = np.arange(n, 2 * n - 1)[:, None]
    length = (height[parent] - height) / 2
    if labels is not None:
        labels = (*builder_validation.leaf_labels(labels, n), *[""] * (n - 1))
    return TreeParts(parent, length, np.arange(n), labels)


def from_paths(paths: Iterable[str], *, sep: str = "/", lengths: float | Sequence[float] = 1.0) -> TreeParts:
    """Grow the tree of paths such as "animal/dog/pug", each of which becomes a bin.

    Parameters
    ----------
    paths : iterable of str
        The bins, in this order; none twice. A path may lead to an inner node of others. Where first components differ,
        a root without a name stands above them.
    sep : str
        What separates the components.
    lengths : float or sequence of float
        Length of every edge, or of the edges below the root, those one level further down, and so on.

    Returns
    -------
    TreeParts
        parent, length, bins, labels. A node's label is the last component of its path.

    Raises
    ------
    TypeError, ValueError
        If a path is not a string, has an empty component or comes twice, or if there are fewer lengths than levels.

    Examples
    --------
    >>> from fastemd.spaces.builders import from_paths
    >>> parts = from_paths(["animal/dog/pug", "animal/cat"], lengths=[4, 1])
    >>> parts.labels, parts.length
    (('animal', 'dog', 'pug', 'cat'), array([0., 4., 1., 4.]))
    """
    routes = builder_validation.paths(paths, sep)
    if len({route[0] for route in routes}) > 1:
        routes = [("", *route) for route in routes]
    number: dict[tuple[int, str], int] = {}  # of the node of a component below a parent
    levels: list[int] = []
    bins = []
    for route in routes:
        node = -1
        for level, component in enumerate(route, start=-1):  # the root's level is -1
            known = len(number)
            node = number.setdefault((node, component), known)
            if node == known:
                levels.append(level)
        bins.append(node)
    parent = np.array([above for above, _ in number], dtype=np.intp)
    per_level = builder_validation.level_lengths(lengths, max(levels) + 1)
    length = np.concatenate([per_level, [0.0]])[levels]
    return TreeParts(parent, length, np.array(bins), tuple(component for _, component in number))


def imagenet(which: str = "1k") -> TreeParts:
    """Load the ImageNet classes under their WordNet hypernyms.

    Parameters
    ----------
    which : {"1k", "21k"}
        The 1,000 classes of ILSVRC-2012, all leaves of 1,808 nodes; or all 21,841 classes, on 23,460 nodes, many of
        them inner ones.

    Returns
    -------
    TreeParts
        parent, length (1 for each edge), bins in the order of the classes' numbers (sorted WordNet ids, as the usual
        frameworks have it), and labels, each the first lemma of the node's synset.

    Notes
    -----
    Where WordNet 3.0 gives several hypernyms, the first one is the parent. The licence of WordNet is shipped beside.

    Examples
    --------
    >>> from fastemd.spaces.builders import imagenet
    >>> parts = imagenet()
    >>> parts.labels[parts.bins[207]]
    'golden retriever'
    """
    columns = table(f"imagenet{one_of(which, ('1k', '21k'), 'which')}_tree")
    classes = {int(k): v for v, k in enumerate(columns["class_index"]) if k}
    return _hypernyms(columns, np.array([classes[k] for k in range(len(classes))]))


def wordnet_nouns() -> TreeParts:
    """Load the 82,115 noun synsets of WordNet 3.0 under their first hypernyms, each a bin, with edges of length 1.

    Node v is row v of ``fastemd.data.table("wordnet_noun_tree")``, whose column "wnid" tells the WordNet id.

    Examples
    --------
    >>> from fastemd.spaces.builders import wordnet_nouns
    >>> wordnet_nouns().labels[:3]
    ('entity', 'physical entity', 'thing')
    """
    return _hypernyms(table("wordnet_noun_tree"), None)


def _hypernyms(columns: dict[str, list[str]], bins: np.ndarray | None) -> TreeParts:
    number = {wnid: v for v, wnid in enumerate(columns["wnid"])}
    parent = np.array([number.get(wnid, -1) for wnid in columns["parent"]])
    return TreeParts(parent, np.ones(len(parent)), bins, tuple(columns["name"]))


def _pairs(edges: Any) -> tuple[np.ndarray, list[Hashable] | None]:
    """Return edges as an (m, 2) array of node numbers, and the nodes' names unless they were numbers before."""
    if isinstance(edges, np.ndarray) and edges.dtype.kind in "iu":
        return builder_validation.numbered_edges(edges), None
    ends = builder_validation.edge_ends(edges)
    if all(isinstance(end, Integral) for pair in ends for end in pair):
        return builder_validation.numbered_edges(np.array(ends, dtype=object).reshape(-1, 2)), None
    number: dict[Hashable, int] = {}
    pairs = np.array([[number.setdefault(end, len(number)) for end in pair] for pair in ends], dtype=np.intp)
    if len(number) != len(pairs) + 1:
        raise builder_validation.not_a_tree("edges", pairs, len(number), list(number))
    return pairs, list(number)


def _top(pairs: np.ndarray) -> int:
    """Return the node that is never second if the pairs read as (parent, child) throughout, else the first node."""
    if not len(pairs):
        return 0
    times_second = np.bincount(pairs[:, 1], minlength=len(pairs) + 1)
    return int(np.argmin(times_second)) if times_second.max() == 1 else int(pairs[0, 0])


def _hang(
    what: str, pairs: np.ndarray, lengths: np.ndarray, root: int, names: list[Hashable] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Direct undirected edges away from the root: parent and length of each node."""
    n_nodes = len(pairs) + 1
    by_tail = np.argsort(pairs.ravel(), kind="stable")
    heads = pairs[:, ::-1].ravel()[by_tail].tolist()
    edges = (by_tail // 2).tolist()
    ends = np.cumsum(np.bincount(pairs.ravel(), minlength=n_nodes)).tolist()
    parent, above = [-1] * n_nodes, [-1] * n_nodes
    reached = [root]
    for v in reached:  # grows while it is walked: breadth first
        for k in range(ends[v - 1] if v else 0, ends[v]):
            child = heads[k]
            if child != root and above[child] < 0:
                parent[child], above[child] = v, edges[k]
                reached.append(child)
    if len(reached) < n_nodes:
        raise builder_validation.not_a_tree(what, pairs, n_nodes, names)
    return np.array(parent, dtype=np.intp), np.append(lengths, 0.0)[above]  # above[root] = -1 finds the 0 at the end
