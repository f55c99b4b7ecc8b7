"""Small cases for the comparison, on spaces on which every solver applies."""

import numpy as np

from benchmarks.compare import cases
from fastemd import Chain, Ring, Tree

SPACES = {
    "chain": Chain(positions=[0.0, 1.0, 1.5, 4.0, 7.0, 7.25]),
    "ring": Ring(6),
    "uneven ring": Ring(lengths=[1.0, 2.0, 0.5, 3.0, 1.0, 0.25]),
    # Three children of the root, a bin at an inner node, and an edge of length 0.
    "tree": Tree([-1, 0, 0, 1, 1, 2, 5, 5, 0], [0, 1, 2, 0.5, 3, 1, 0, 0.25, 2], bins=[3, 4, 2, 6, 7, 0, 8]),
}


def small_case(name, pairs=8):
    """Histograms with empty bins, of which no pair holds the same twice."""
    space = SPACES[name]
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4, size=(2, pairs, space.n)) * rng.integers(0, 2, size=(2, pairs, space.n))
    counts[0, :, 0] += 1
    counts[1, :, -1] += 2
    a, b = counts / counts.sum(axis=-1, keepdims=True)
    return cases.Case(name, f"a small {name}", "metres", space, a, b, ("a", "b"))
