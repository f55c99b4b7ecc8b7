"""Hypothesis strategies: spaces of every shape, and pairs of histograms of equal mass on them."""

import math

import numpy as np
from hypothesis import strategies as st

from fastemd.spaces import Chain, Ring, Tree

SHAPES = ("path", "star", "caterpillar", "balanced", "binary", "random")
KINDS = ("one-hot", "sparse", "dense", "smooth", "identical", "shuffled")


def sizes(most=12, rarely=40):
    """Numbers of bins or nodes: mostly small, so that a linear program can solve them and failures shrink well."""
    small = st.integers(1, min(most, rarely))
    return st.one_of(small, small, small, st.integers(1, rarely))


@st.composite
def edge_lengths(draw, count):
    """Lengths of `count` edges: all 1, all 0, small whole numbers with zeros among them (ties), or any."""
    length = draw(
        st.sampled_from(
            [
                st.just(1.0),
                st.just(0.0),
                st.sampled_from([0.0, 1.0, 2.0, 3.0]),
                st.floats(2.0**-10, 2.0**10),
                st.just(0.0) | st.floats(2.0**-10, 2.0**10),
            ]
        )
    )
    return np.array(draw(st.lists(length, min_size=count, max_size=count)), dtype=np.float64)


@st.composite
def chains(draw, max_bins=40):
    """Chains, with unit steps or any."""
    n = draw(sizes(rarely=max_bins))
    if draw(st.booleans()):
        return Chain(n)
    steps = draw(st.lists(st.floats(2.0**-10, 2.0**10), min_size=n, max_size=n))
    return Chain(positions=np.cumsum(steps) - draw(st.integers(0, 2**10)))


@st.composite
def rings(draw, max_bins=40):
    """Rings, with unit edges or any, zeros included."""
    n = draw(sizes(rarely=max_bins))
    return Ring(n) if draw(st.booleans()) else Ring(lengths=draw(edge_lengths(n)))


def parents(shape, n, draw):
    """Parents of the n nodes of a tree of that shape, each below the node's own number; -1 at node 0."""
    v = np.arange(n)
    if shape == "path":
        parent = v - 1
    elif shape == "star":
        parent = np.zeros(n, dtype=int)
    elif shape == "caterpillar":
        parent = np.where(v % 2, v - 1, v - 2)
    elif shape in ("balanced", "binary"):
        arity = 2 if shape == "binary" else draw(st.integers(3, 4))
        parent = (v - 1) // arity
    else:
        parent = np.array([0, *(draw(st.integers(0, k - 1)) for k in range(1, n))])
    parent[0] = -1
    return parent


@st.composite
def trees(draw, max_nodes=40, shapes=SHAPES):
    """Trees of every shape, nodes numbered anyhow; bins on all nodes, on the leaves, or on some in any order."""
    n = draw(sizes(rarely=max_nodes))
    parent = parents(draw(st.sampled_from(shapes)), n, draw)
    if draw(st.booleans()):
        number = np.array(draw(st.permutations(range(n))))
        renumbered = np.empty(n, dtype=int)
        renumbered[number] = np.where(parent < 0, -1, number[parent])
        parent = renumbered
    bins = draw(st.sampled_from(["all", "leaves", "some"]))
    if bins == "all":
        nodes = None
    elif bins == "leaves":
        nodes = np.setdiff1d(np.arange(n), parent)
    else:
        nodes = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    return Tree(parent, draw(edge_lengths(n)), nodes)


def spaces(max_bins=40):
    """Chains, rings and trees."""
    return st.one_of(chains(max_bins), rings(max_bins), trees(max_bins))


def scales(dtype):
    """Powers of two, among them tiny and huge ones, by which a few thousand whole numbers stay exact in `dtype`."""
    exponents = {"float16": (0, -10, 3), "float32": (0, -10, -100, 60), "float64": (0, -10, -100, 100)}
    return st.sampled_from([2.0**k for k in exponents.get(np.dtype(dtype).name, (0,))])


@st.composite
def histogram_pair(draw, n, dtype):
    """Two histograms of n bins: whole numbers times one power of two, so that the masses agree exactly, or smooth."""
    kind = draw(st.sampled_from(KINDS))
    bins = st.integers(0, n - 1)
    if kind == "smooth" and np.dtype(dtype).kind == "f":
        weights = st.lists(st.floats(2.0**-7, 1.0), min_size=n, max_size=n)
        a, b = np.array(draw(weights)), np.array(draw(weights))
        a, b = a / a.sum(), b / b.sum()
    else:
        units = {"one-hot": 1, "sparse": draw(st.integers(1, 4))}.get(kind, draw(st.integers(1, 40)))
        a, b = (
            np.bincount(np.array(draw(st.lists(bins, min_size=units, max_size=units))), minlength=n).astype(np.float64)
            for _ in "ab"
        )
    if kind == "identical":
        b = a.copy()
    elif kind == "shuffled":
        b = a[list(draw(st.permutations(range(n))))]
    scale = draw(scales(dtype))
    return (a * scale).astype(dtype), (b * scale).astype(dtype)


@st.composite
def histogram_pairs(draw, space, dtype=np.float64, batch=()):
    """Histograms a and b on `space`, of shape (*batch, space.n), whose rows hold equal mass within the tolerance.

    Rows are one-hot, sparse, dense with ties, smooth, identical or the same numbers shuffled; tiny or huge; integers
    under an integer dtype.
    """
    rows = [draw(histogram_pair(space.n, dtype)) for _ in range(math.prod(batch))]
    shape = (*batch, space.n)
    a = np.array([row[0] for row in rows], dtype=dtype).reshape(shape)
    b = np.array([row[1] for row in rows], dtype=dtype).reshape(shape)
    return a, b
