"""Depth-first order, diameter and distances of a tree, without recursion: any depth will do.

In depth-first order (preorder) a parent stands before its children and a subtree is a run of positions. `up[k]` is the
position of the parent of position k, with up[0] = 0 at the root; `length[k]` is the length of the edge above it.
"""

from __future__ import annotations

import numpy as np


def order(parent: np.ndarray, root: int) -> np.ndarray:
    """Return the nodes in depth-first order, siblings by number; nodes not connected to the root are left out."""
    n = len(parent)
    # Children grouped by parent, the largest number first, so that the stack below hands out the smallest one first.
    children = (n - 1 - np.argsort(parent[::-1], kind="stable"))[1:].tolist()
    counts = np.bincount(parent[np.arange(n) != root], minlength=n)
    ends = np.cumsum(counts).tolist()
    counts = counts.tolist()
    visited = []
    stack = [root]
    while stack:
        v = stack.pop()
        visited.append(v)
        if counts[v]:
            stack += children[ends[v] - counts[v] : ends[v]]
    return np.array(visited, dtype=np.intp)


def diameter(up: np.ndarray, length: np.ndarray, place: np.ndarray) -> float:
    """Return the largest distance of two bins at the positions `place`, in one sweep from the leaves to the root."""
    from_bins = np.full(len(up), -np.inf)
    from_bins[place] = 0.0
    reach, parents, steps = from_bins.tolist(), up.tolist(), length.tolist()
    widest = 0.0
    for k in range(len(up) - 1, 0, -1):
        longest, branch = reach[parents[k]], reach[k] + steps[k]
        widest = max(widest, longest + branch)
        reach[parents[k]] = max(longest, branch)
    return widest


def distances(up: np.ndarray, length: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the distance of each pair of bins: the paths of both up to their lowest common ancestor, added up.

    Nothing is subtracted, so a short path below a long stem keeps its digits. In depth-first order the bins below a
    node are a range. From the leaves to the root, the ranges of each node are merged: the distances of the bins to the
    node are known then, and those between two ranges are their sums. O(nodes + n ** 2).
    """
    n, nodes = len(place), len(up)
    order = np.argsort(place)
    own_bin = np.full(nodes, -1)
    own_bin[place[order]] = np.arange(n)
    parents, lengths, own_bins = up.tolist(), length.tolist(), own_bin.tolist()
    to_node = np.zeros(n)  # from each bin to the node it has been merged into, less `climb` of that node
    first, last, climb = [-1] * nodes, [-1] * nodes, [0.0] * nodes
    matrix = np.zeros((n, n))

    def merge(node: int, begin: int, end: int, rise: float) -> None:
        if first[node] < 0:
            first[node], last[node], climb[node] = begin, end, rise
            return
        to_node[begin:end] += rise
        to_node[first[node] : last[node]] += climb[node]
        climb[node] = 0.0
        block = to_node[begin:end, None] + to_node[first[node] : last[node]]
        rows, columns = order[begin:end, None], order[first[node] : last[node]]
        matrix[rows, columns] = block
        matrix[columns[:, None], rows[:, 0]] = block.T
        first[node] = begin

    for node in range(nodes - 1, -1, -1):
        if own_bins[node] >= 0:
            merge(node, own_bins[node], own_bins[node] + 1, 0.0)
        if node and first[node] >= 0:
            merge(parents[node], first[node], last[node], climb[node] + lengths[node])
    return matrix


def subtrees(up: np.ndarray, place: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin at each position (the number of bins where there is none), and the range of positions below edges.

    The range of edge v is ``first[v]`` to ``beyond[v] - 1``; that of the root, which has no edge, is empty.
    """
    nodes = len(up)
    parents = up.tolist()
    ends = list(range(1, nodes + 1))
    for k in range(nodes - 1, 0, -1):
        ends[parents[k]] = max(ends[parents[k]], ends[k])
    ends[0] = 0  # no edge is above the root
    bin_at = np.full(nodes, len(place))
    bin_at[place] = np.arange(len(place))
    return bin_at, edge.copy(), np.array(ends)[edge]
