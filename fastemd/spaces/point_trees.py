"""Trees over points: a quadtree with a random shift, and clusters around points far from each other.

Either tree is made of nested cells with a height, half of what any two points of a cell lie apart at most. An edge is
as long as the height of the upper cell less that of the lower one. So the distance of two points is twice the height of
the smallest cell that holds both, and never below the Euclidean one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays.inputs import host_array, one_of
from .builders import TreeParts

METHODS = ("quadtree", "cluster")
LEVELS = 52  # halvings after which float64 does not tell cells apart
BRANCHES = 16  # clusters that a cluster is divided into, at most
SPREAD = 0.5  # of its radius: how far a new centre lies from the others at least


def from_points(X: ArrayLike, *, method: str = "quadtree", seed: Any = None) -> TreeParts:
    """Build a tree whose bins are points, and whose distances are never below their Euclidean ones.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Points, finite; equal ones are at distance 0.
    method : {"quadtree", "cluster"}
        "quadtree": a cube around the points, shifted at random, is halved along each axis, and so on. "cluster": a
        random point and those farthest from it and from each other are centres, each point goes to the nearest of
        them, and so on [1]_.
    seed : int, numpy.random.Generator or None
        What the shift, or the first point, is drawn by.

    Returns
    -------
    TreeParts
        parent, length, bins (point i is bin i), labels (None).

    Raises
    ------
    TypeError, ValueError
        If X is no array of points, or holds other than finite numbers, or for another method.

    Notes
    -----
    How far above the Euclidean distance: in a quadtree in the mean over shifts by a factor of at most d times the
    number of levels, which is log2 of the largest distance over the smallest; so it suits few dimensions. Clusters have
    no such bound, but follow the points in any number of dimensions. Time O(n d) a level; a quadtree has up to 52,
    clusters have some log n levels, and up to n where points lie at distances that fall off exponentially.

    References
    ----------
    .. [1] T. Le, M. Yamada, K. Fukumizu, M. Cuturi, "Tree-Sliced Variants of Wasserstein Distances", NeurIPS 2019,
       sections 4 (quadtree: P. Indyk, N. Thaper, 2003) and 4 (farthest-point clustering: T. Gonzalez, 1985).

    Examples
    --------
    >>> from fastemd.spaces.point_trees import from_points
    >>> parts = from_points([[0.0, 0.0], [0.0, 3.0], [4.0, 0.0]], method="cluster", seed=0)
    >>> len(parts.parent), parts.bins
    (4, array([1, 2, 3]))
    """
    points = _points(X)
    method = one_of(method, METHODS, "method")
    rng = _generator(seed)
    unique, index, count = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    parent, height, cell = _quadtree(unique, rng) if method == "quadtree" else _clusters(unique, rng)
    leaf = len(parent) + np.arange(len(unique))
    # A point that is there once is its own leaf; equal points hang from one leaf, at distance 0.
    bins = leaf[index.reshape(-1)]
    equal = np.flatnonzero(count[index.reshape(-1)] > 1)
    parent = np.concatenate([parent, cell, bins[equal]])
    bins[equal] = leaf[-1] + 1 + np.arange(len(equal))
    height = np.concatenate([height, np.zeros(len(unique) + len(equal))])
    length = np.maximum(height[parent] - height, 0.0)
    length[0] = 0.0
    return TreeParts(parent, length, bins, None)


def _points(X: Any) -> np.ndarray:
    """Return `X` as a float64 array (n, d) of finite numbers."""
    array = host_array(X, "X")
    if array.ndim != 2 or 0 in array.shape:
        mend = "; try X.reshape(-1, 1)" if array.ndim == 1 and array.size else ""
        raise ValueError(f"X has shape {array.shape}. Needed: (n, d), a point a row, at least one{mend}.")
    if array.dtype.kind not in "iufb":
        raise TypeError(f"X has dtype {array.dtype}. Needed: floats or integers; try X.astype(float).")
    points = array.astype(np.float64)
    if not np.isfinite(points).all():
        i, j = np.argwhere(~np.isfinite(points))[0]
        raise ValueError(f"X[{i}, {j}] is {array[i, j]}. Needed: finite coordinates; drop point {i}.")
    return points + 0.0


def _generator(seed: Any) -> np.random.Generator:
    """Return the generator that a seed makes."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise TypeError(
            f"seed is {seed!r}. Needed: a whole number from 0, a numpy.random.Generator, or None."
        ) from None


def _quadtree(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return parents and heights of the cells that hold several points, and the smallest such cell of each point."""
    n, d = points.shape
    low = points.min(axis=0)
    side = float((points - low).max())
    half = np.sqrt(d) / 2
    if n == 1:
        return np.array([-1]), np.zeros(1), np.zeros(1, np.intp)
    # In units of the cube's side, which is twice the points'.
    place = (points - low) / side / 2 + rng.uniform(0.0, 0.5, d)
    parents, heights = [np.array([-1])], [np.array([2 * side * half])]
    leaf = np.zeros(n, np.intp)
    alive = np.arange(n)
    nodes = 1
    for level in range(1, LEVELS + 1):
        place[alive] *= 2.0
        upper = place[alive] >= 1.0
        place[alive] -= upper
        sides = np.packbits(upper, axis=1)
        key = np.concatenate([leaf[alive].astype(">u8").view(np.uint8).reshape(len(alive), 8), sides], axis=1)
        _, first, cell, count = np.unique(
            np.ascontiguousarray(key).view(f"V{key.shape[1]}").ravel(),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        full = count > 1
        # A cell with all the points of the one above is no node of its own: it lowers the other's height.
        number = np.full(len(count), -1)
        above = leaf[alive[first]]
        held = np.bincount(leaf[alive], minlength=nodes)
        same = full & (count == held[above])
        number[same] = above[same]
        made = np.flatnonzero(full & ~same)
        number[made] = nodes + np.arange(len(made))
        height = 2 * side * half / 2.0**level
        all_heights = np.concatenate([*heights, np.full(len(made), height)])
        all_heights[above[same]] = height
        heights = [all_heights]
        parents.append(above[made])
        nodes += len(made)
        stays = full[cell]
        leaf[alive[stays]] = number[cell[stays]]
        alive = alive[stays]
        if not len(alive):
            break
    return np.concatenate(parents), heights[0], leaf


def _distances(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each point; squares neither overflow nor vanish."""
    steps = abs(points - centre)
    largest = steps.max(axis=1)
    return largest * np.linalg.norm(steps / np.where(largest > 0.0, largest, 1.0)[:, None], axis=1)


def _clusters(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return parents and heights (radii) of the clusters of several points, and the smallest one of each point."""
    n = len(points)
    parents, heights = [-1], [0.0]
    leaf = np.zeros(n, np.intp)
    stack = [(0, np.arange(n), int(rng.integers(n)))]
    while stack:
        node, members, centre = stack.pop()
        leaf[members] = node
        part = points[members]
        distance = _distances(part, points[centre])
        heights[node] = float(distance.max())
        if heights[node] == 0.0:
            continue
        nearest = np.zeros(len(members), np.intp)
        centres = [centre]
        while len(centres) < BRANCHES and distance.max() > SPREAD * heights[node]:
            far = int(np.argmax(distance))
            other = _distances(part, part[far])
            closer = other < distance
            nearest[closer] = len(centres)
            distance = np.minimum(distance, other)
            centres.append(members[far])
        for k, at in enumerate(centres):
            below = members[nearest == k]
            if len(below) > 1:
                parents.append(node)
                heights.append(0.0)
                stack.append((len(parents) - 1, below, int(at)))
    return np.array(parents), np.array(heights), leaf
