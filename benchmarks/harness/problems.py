"""The spaces and histograms that are measured, and how large they are."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

import fastemd as fe


@dataclass(frozen=True)
class Sizes:
    """Sizes of the jobs, and the seconds and rounds that each may take at most."""

    bins: int = 1_000
    large: int = 65_536
    small: tuple[int, ...] = (256, 4_096)
    ring: tuple[int, int] = (4_096, 360)
    tree_rows: int = 16_384
    nodes: int = 1_900
    shape_rows: int = 64
    shape_nodes: int = 100_000
    logits_rows: int = 4_096
    pair: int = 100
    line: int = 1_000_000
    first_calls: tuple[str, ...] = ("chain value", "chain gradient", "ring gradient", "tree gradient", "chain logits")
    processes: int = 5
    seconds: float = 5.0
    rounds: int = 25
    compiled: bool = True


FULL = Sizes()
QUICK = Sizes(
    bins=40,
    large=64,
    small=(16,),
    ring=(16, 36),
    tree_rows=16,
    nodes=76,
    shape_rows=8,
    shape_nodes=200,
    logits_rows=16,
    pair=10,
    line=1_000,
    first_calls=("chain value",),
    processes=1,
    seconds=0.0,
    rounds=1,
    compiled=False,
)


@functools.lru_cache(maxsize=4)
def histograms(rows: int, n: int, seed: int) -> np.ndarray:
    """Rows of `n` uniform random numbers, each divided by its sum: float32."""
    x = np.random.default_rng(seed).random((rows, n), dtype=np.float32)
    x /= x.sum(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    return x


def pair(rows: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two batches of histograms."""
    return histograms(rows, n, 1), histograms(rows, n, 2)


def random_tree(nodes: int, leaves: int) -> fe.Tree:
    """A random attachment tree with exactly so many leaves, which are its bins; lengths are uniform in 0.5 .. 1.5.

    Nodes arrive one after another and attach to a node drawn from those there. Attaching to a leaf leaves their number
    as it is, attaching to an inner node adds one; in what order the two happen is drawn with their total numbers
    fixed, and the node is then drawn uniformly from its kind. (In an unconditioned tree half of the nodes are leaves,
    950 of 1,900 with a standard deviation of 13: to draw until there are 1,000 would take some 30,000 trees.)
    """
    rng = np.random.default_rng(3)
    parent = np.zeros(nodes, dtype=np.intp)
    parent[0] = -1
    inner, tips = [0], [1]
    to_inner = rng.permutation(np.arange(nodes - 2) < leaves - 1)
    for v, adds_a_leaf in zip(range(2, nodes), to_inner, strict=True):
        if adds_a_leaf:
            parent[v] = inner[rng.integers(len(inner))]
            tips.append(v)
        else:
            k = rng.integers(len(tips))
            parent[v] = tips[k]
            inner.append(tips[k])
            tips[k] = v
    return fe.Tree(parent, rng.uniform(0.5, 1.5, nodes), bins=sorted(tips))


def tree(sizes: Sizes) -> fe.Tree:
    """The random tree of the table: as many leaves as the other jobs have bins."""
    return random_tree(sizes.nodes, sizes.bins)


def caterpillar(nodes: int) -> fe.Tree:
    """A path of half the nodes, a leg at each of them; the ends of the legs are the bins."""
    spine = nodes // 2
    parent = np.concatenate([np.arange(spine) - 1, np.arange(spine)])
    return fe.Tree(parent, np.ones(2 * spine), bins=np.arange(spine, 2 * spine))


def star(nodes: int) -> fe.Tree:
    """Leaves under one root; the leaves are the bins."""
    return fe.Tree(np.append(-1, np.zeros(nodes - 1, dtype=np.intp)), np.ones(nodes), bins=np.arange(1, nodes))
