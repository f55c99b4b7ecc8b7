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


def depths(up: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the length of the path from the root to each position."""
    depth = [0.0] * len(up)
    steps = zip(range(1, len(up)), up[1:].tolist(), length[1:].tolist(), strict=True)
    for k, parent, step in steps:
        depth[k] = depth[parent] + step
    return np.array(depth)


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
    """Return the distance of each pair of bins: the paths of both up to their lowest common ancestor.

    The lowest common ancestor of positions p < q is as deep as the shallowest parent of positions p + 1 .. q. So the
    depths of the ancestors of neighbouring places give those of all pairs as running minima, in O(n ** 2).
    """
    n = len(place)
    depth = depths(up, length)
    by_place = np.argsort(place)
    sorted_place, deep = place[by_place], depth[place[by_place]]
    matrix = np.zeros((n, n))
    if n == 1:
        return matrix
    fork = np.minimum.reduceat(depth[up[: sorted_place[-1] + 1]], sorted_place[:-1] + 1)
    for i in range(n - 1):
        shallowest = np.minimum.accumulate(fork[i:])
        row = (deep[i] - shallowest) + (deep[i + 1 :] - shallowest)
        matrix[by_place[i], by_place[i + 1 :]] = row
        matrix[by_place[i + 1 :], by_place[i]] = row
    return matrix
