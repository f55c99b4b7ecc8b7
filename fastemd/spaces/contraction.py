"""The contraction of a tree, which both backends sweep: fewer nodes that carry the same flows.

A node without bins in its subtree has no flow: it is left out. A node that is no bin and has one child has the flow of
that child: the lengths of both edges are added up. The nodes that remain and are no leaves are the *inner nodes*. Each
bin is attached to an inner node: a leaf by the edge above it, a bin that is an inner node itself by an edge of length
0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .base import TreeArrays


class Contraction(NamedTuple):
    """Inner nodes, parents first, the root being number 0, and the bins that are attached to them.

    Attributes
    ----------
    up, length : ndarray, shape (inner,)
        The parent of each inner node, and the length of the edge between them.
    position : ndarray, shape (inner,)
        Its position in depth-first order.
    bin_parent, bin_length : ndarray, shape (n,)
        The inner node to which each bin is attached, and the length of the edge between them.
    edge : ndarray, shape (nodes,)
        Whose flow each edge of the tree has, by position: that of inner node k (k), of bin i (inner + i), or none
        (inner + n).
    height : float
        The largest distance from the root.
    """

    up: np.ndarray
    length: np.ndarray
    position: np.ndarray
    bin_parent: np.ndarray
    bin_length: np.ndarray
    edge: np.ndarray
    height: float


def contract(arrays: TreeArrays, n: int) -> Contraction:
    """Contract a tree of n bins. O(nodes)."""
    parent, lengths, nodes = arrays.up.tolist(), arrays.length.tolist(), len(arrays.up)
    bin_at = np.full(nodes, -1)
    bin_at[arrays.place] = np.arange(n)
    is_bin = (bin_at >= 0).tolist()
    children, child = [0] * nodes, [0] * nodes  # children with bins in their subtrees: how many, and the last
    for node in range(nodes - 1, 0, -1):
        if is_bin[node] or children[node]:
            children[parent[node]] += 1
            child[parent[node]] = node
    merged = [not is_bin[node] and children[node] == 1 for node in range(nodes)]
    merged[0] = False
    depth = [0.0] * nodes
    slot, up, length, position = [0] * nodes, [0], [0.0], [0]
    bin_parent, bin_length = np.zeros(nodes, np.intp), np.zeros(nodes)
    for node in range(1, nodes):
        above = parent[node]
        depth[node] = depth[above] + lengths[node]
        if merged[above]:
            lengths[node] += lengths[above]
            above = parent[node] = parent[above]
        if children[node] and not merged[node]:
            slot[node] = len(up)
            up.append(slot[above])
            length.append(lengths[node])
            position.append(node)
        bin_parent[node], bin_length[node] = (slot[node], 0.0) if children[node] else (slot[above], lengths[node])
    inner = len(up)
    none = inner + n
    edge = [slot[node] if children[node] else inner + b if b >= 0 else none for node, b in enumerate(bin_at.tolist())]
    for node in range(nodes - 1, 0, -1):
        if merged[node]:
            edge[node] = edge[child[node]]
    edge[0] = none
    return Contraction(
        np.array(up),
        np.array(length),
        np.array(position),
        bin_parent[arrays.place],
        bin_length[arrays.place],
        np.array(edge)[arrays.edge],
        max(depth),
    )
