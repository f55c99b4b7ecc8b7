"""From trees of other libraries, and Newick, to the arguments of `fastemd.Tree`. Tips are the bins.

Newick is parsed by treeswift. It reads a caterpillar and a balanced tree of a million tips in 7 to 8 s here, without
recursion; scikit-bio took 12 to 17 s, dendropy exceeds Python's recursion limit on a caterpillar of 100,000 tips, and
ete4 ended the process.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .builders import TreeParts


def newick(tree: str | os.PathLike[str], default_length: float | None = None) -> TreeParts:
    """Read Newick: a text, which ends in a semicolon, or the path of a file, which may be gzipped.

    Parameters
    ----------
    tree : str or path
    default_length : float, optional
        Length of branches that have none; by default they are an error.

    Returns
    -------
    TreeParts
        parent, length, bins (the tips, as they come) and labels.

    Raises
    ------
    ImportError
        If treeswift is not installed.
    OSError, ValueError
        If there is no such file, the text is no Newick, or branches have no length.

    Examples
    --------
    >>> from fastemd.spaces.phylogenies import newick
    >>> newick("((a:1,b:2):0.5,c:3);").length
    array([0. , 0.5, 1. , 2. , 3. ])
    """
    try:
        import treeswift
    except ImportError:
        raise ImportError(
            "Newick is read by treeswift, which is not installed. Needed: pip install 'fastemd[bio]'."
        ) from None
    text = os.fspath(tree)
    if not text.rstrip().endswith(";") and "(" not in text and not Path(text).exists():
        raise FileNotFoundError(
            f"There is no file {text!r}. Needed: the path of a Newick file, or Newick, which ends in ';'."
        )
    try:
        root = treeswift.read_tree_newick(text).root
    except (RuntimeError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(
            f"tree is no Newick ({type(error).__name__}: {error}). Needed: a tree such as '((a:1,b:2):0.5,c:3);'."
        ) from None
    if root is None:
        raise ValueError("tree is no Newick: it holds no node. Needed: a tree such as '((a:1,b:2):0.5,c:3);'.")
    return _parts(root, lambda v: v.children, lambda v: v.edge_length, lambda v: v.label, default_length)


def skbio(tree: Any, default_length: float | None = None) -> TreeParts:
    """Read a `skbio.TreeNode`; parameters and answer as of `newick`."""
    return _parts(tree, lambda v: v.children, lambda v: v.length, lambda v: v.name, default_length)


def dendropy(tree: Any, default_length: float | None = None) -> TreeParts:
    """Read a tree of dendropy; parameters and answer as of `newick`."""

    def label(v: Any) -> Any:
        return v.label if v.taxon is None else v.taxon.label

    return _parts(tree.seed_node, lambda v: v.child_nodes(), lambda v: v.edge.length, label, default_length)


def ete(tree: Any, default_length: float | None = None) -> TreeParts:
    """Read a tree of ete3 or ete4; parameters and answer as of `newick`."""
    return _parts(tree, lambda v: v.children, lambda v: v.dist, lambda v: v.name, default_length)


def networkx(graph: Any, root: Any = None, weight: str = "length", default_length: float | None = None) -> TreeParts:
    """Read a graph of networkx that is a tree; parameters and answer as of `newick`.

    `root` is by default the node without predecessors of a directed graph, and the first node of another. `weight`
    names the attribute of edges that is their length.
    """
    nodes = list(graph.nodes)
    if not nodes or graph.number_of_edges() != len(nodes) - 1:
        raise ValueError(
            f"graph has {len(nodes)} nodes and {graph.number_of_edges()} edges. Needed: a tree, which has one edge "
            "less than nodes."
        )
    if root is None:
        directed = graph.is_directed()
        root = next((v for v in nodes if directed and graph.in_degree(v) == 0), nodes[0])
    elif root not in graph:
        raise ValueError(f"root is {root!r}. Needed: a node of graph, such as {nodes[0]!r}.")
    # A view of a directed graph as an undirected one has neighbours in the order of their hashes.
    ways = (graph.succ, graph.pred) if graph.is_directed() else (graph.adj,)
    parent, order, length, number = [-1], [root], [0.0], {root: 0}
    for v in order:  # grows while it is walked
        for w, attributes in itertools.chain.from_iterable(way[v].items() for way in ways):
            if w not in number:
                number[w] = len(order)
                order.append(w)
                parent.append(number[v])
                length.append(attributes.get(weight, default_length))
    if len(order) < len(nodes):
        lost = next(v for v in nodes if v not in number)
        raise ValueError(f"graph joins no way from {root!r} to {lost!r}. Needed: a tree, whose nodes hang together.")
    return _finished(parent, length, [str(v) for v in order], default_length)


def _parts(
    root: Any,
    children: Callable[[Any], Iterable[Any]],
    length_of: Callable[[Any], Any],
    label_of: Callable[[Any], Any],
    default_length: float | None,
) -> TreeParts:
    """Walk a tree of linked nodes in depth-first order."""
    parent: list[int] = []
    length: list[Any] = []
    labels: list[str] = []
    stack = [(root, -1)]
    while stack:
        node, above = stack.pop()
        here = len(parent)
        parent.append(above)
        length.append(length_of(node))
        label = label_of(node)
        labels.append("" if label is None else str(label))
        below = list(children(node))
        stack += [(child, here) for child in reversed(below)]
    return _finished(parent, length, labels, default_length)


def _finished(parent: list[int], length: list[Any], labels: list[str], default_length: float | None) -> TreeParts:
    """Return the parts of a tree, its tips as bins; lengths that are missing are set, or named."""
    length[0] = 0.0
    missing = [v for v, x in enumerate(length) if x is None]
    if missing and default_length is None:
        some = ", ".join(repr(labels[v]) if labels[v] else f"number {v}" for v in missing[:5])
        more = ", ..." if missing[5:] else ""
        raise ValueError(
            f"{len(missing)} of {len(length) - 1} branches have no length: those above {some}{more}. Needed: a length "
            "for each; default_length=0.0 or another number sets them."
        )
    for v in missing:
        length[v] = default_length
    above = np.array(parent, np.intp)
    inner = np.zeros(len(parent), bool)
    inner[above[1:]] = True
    return TreeParts(above, np.array(length, np.float64), np.flatnonzero(~inner), labels)


def parts_of(tree: Any, default_length: float | None) -> TreeParts:
    """Read a tree of any kind that is known here."""
    if isinstance(tree, str | os.PathLike):
        return newick(tree, default_length)
    kinds = {(base.__module__.partition(".")[0], base.__name__) for base in type(tree).__mro__}
    packages = {package for package, _ in kinds}
    if "skbio" in packages:
        return skbio(tree, default_length)
    if "dendropy" in packages:
        return dendropy(tree, default_length)
    if packages & {"ete3", "ete4"}:
        return ete(tree, default_length)
    if "networkx" in packages:
        return networkx(tree, default_length=default_length)
    raise TypeError(
        f"tree is of type {type(tree).__name__}. Needed: a fastemd.Tree with labels, Newick or the path of a file, or "
        "a tree of scikit-bio, dendropy, ete or networkx."
    )
