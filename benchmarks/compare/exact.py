"""Solvers that are exact up to rounding, on numpy arrays: fastemd, POT, SciPy, scikit-bio and unifrac."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastemd.reference.flows import Space
from fastemd.spaces import Chain, Ring, Tree

from . import packages
from .solver import EVERYWHERE, Answer, Array, Ready, Solver, cost_matrix, filled, one_by_one

# Histograms of mass 1 as counts: whole numbers that float64 still holds exactly when they are summed.
COUNTS = 2.0**52


def fastemd_batch(space: Space) -> Ready:
    """All pairs in one call."""
    from fastemd import emd

    return Ready(lambda a, b: (a, b), lambda a, b: emd(a, b, space), lambda values, *_: Answer(values))


def fastemd_single(space: Space) -> Ready:
    """A call for each pair."""
    from fastemd import emd

    return one_by_one(lambda a, b: emd(a, b, space))


def pot_lp(space: Space) -> Ready:
    """Network simplex on the bins that hold mass."""
    emd2, cost = packages.load("ot").emd2, cost_matrix(space)
    return one_by_one(emd2, lambda a, b: filled(a, b, cost))


def pot_line(space: Chain) -> Ready:
    """One-dimensional transport, a call for each pair."""
    emd2_1d, x = packages.load("ot").emd2_1d, space.positions
    return one_by_one(lambda a, b: emd2_1d(x, x, a, b, metric="cityblock"))


def pot_line_batch(space: Chain) -> Ready:
    """Quantile functions of all pairs in one call; POT wants a column a histogram."""
    wasserstein_1d, x = packages.load("ot").wasserstein_1d, space.positions[:, np.newaxis]

    def run(at: Array, a: Array, b: Array) -> Any:
        return wasserstein_1d(at, at, a, b, p=1, require_sort=False)

    return Ready(lambda a, b: _columns(x, a, b), run, lambda values, *_: Answer(values))


def pot_circle_batch(space: Ring) -> Ready:
    """The circle's solver on all pairs in one call; it wants a circle of circumference 1."""
    wasserstein_circle, around = packages.load("ot").wasserstein_circle, float(np.sum(space.lengths))
    x = (np.cumsum(space.lengths) - space.lengths)[:, np.newaxis] / around

    def run(at: Array, a: Array, b: Array) -> Any:
        return around * wasserstein_circle(at, at, a, b, p=1, require_sort=False)

    return Ready(lambda a, b: _columns(x, a, b), run, lambda values, *_: Answer(values))


def _columns(x: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    return np.broadcast_to(x, a.T.shape), np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)


def scipy_line(space: Chain) -> Ready:
    """One-dimensional transport, a call for each pair."""
    wasserstein_distance, x = packages.load("scipy.stats").wasserstein_distance, space.positions
    return one_by_one(lambda a, b: wasserstein_distance(x, x, a, b))


def scikit_bio(space: Tree) -> Ready:
    """Weighted UniFrac, not normalised, of each pair; the driver prepares the tree and all samples once.

    The driver takes counts and silently rounds other numbers down to whole ones: proportions would all become 0.
    """
    diversity, (tree, taxa) = packages.load("skbio.diversity"), phylogeny(space)

    def run(counts: Array) -> Any:
        ids = [name for side in _samples(len(counts)) for name in side]
        return diversity.beta_diversity(
            "weighted_unifrac", counts, ids, taxa=taxa, tree=tree, pairwise_func=_distances_of_pairs
        )

    return Ready(_counts, run, _read_pairs)


def _distances_of_pairs(samples: Array, metric: Callable[[Array, Array], float]) -> Array:
    """Return the square matrix of distances, 0 but for each sample of the first half and its partner in the second."""
    rows = len(samples) // 2
    distances = np.zeros((2 * rows, 2 * rows))
    for i in range(rows):
        distances[i, rows + i] = distances[rows + i, i] = metric(samples[i], samples[rows + i])
    return distances


def unifrac(space: Tree) -> Ready:
    """Weighted UniFrac, not normalised, of all samples with all others: it has no call for pairs alone."""
    solve, (tree, taxa) = packages.load("unifrac").weighted_unnormalized, phylogeny(space)
    table = packages.load("biom").Table

    def transfer(a: Array, b: Array) -> tuple[Any]:
        (counts,) = _counts(a, b)
        first, second = _samples(len(counts))
        return (table(counts.T, taxa, [*first, *second]),)

    return Ready(transfer, lambda samples: solve(samples, tree), _read_pairs)


def phylogeny(space: Tree) -> tuple[Any, list[str]]:
    """Return a tree as scikit-bio takes it, and the names of its bins.

    Bins must be tips there: each hangs from its node at length 0. A rooted tree's root has two children at most: the
    root hangs from another node, beside a tip without mass, which is never asked for.
    """
    make = packages.load("skbio").TreeNode
    nodes = [make(name=f"node {v}", length=float(length)) for v, length in enumerate(space.lengths)]
    for node, above in zip(nodes, space.parent, strict=True):
        if above >= 0:
            nodes[above].append(node, uncache=False)  # else it looks for caches to clear up to the root
    taxa = [f"bin {i}" for i in range(space.n)]
    for taxon, v in zip(taxa, space.bins, strict=True):
        nodes[v].append(make(name=taxon, length=0.0), uncache=False)
    return make(children=[nodes[space.root], make(name="no bin", length=0.0)]), taxa


def _counts(a: Array, b: Array) -> tuple[Array]:
    return (np.rint(np.vstack([a, b]) * COUNTS).astype(np.int64),)


def _samples(rows: int) -> tuple[list[str], list[str]]:
    first, second = ([f"{side}{i}" for i in range(rows // 2)] for side in "ab")
    return first, second


def _read_pairs(distances: Any, *_: object) -> Answer:
    first, second = _samples(distances.shape[0])
    return Answer(np.array([distances[pair] for pair in zip(first, second, strict=True)]))


EXACT = (
    Solver("fastemd, batched", ("fastemd",), EVERYWHERE, fastemd_batch, "emd(a, b, space) on all pairs", batched=True),
    Solver("fastemd, one by one", ("fastemd",), EVERYWHERE, fastemd_single, "emd(a, b, space) on each pair"),
    Solver("POT emd2", ("ot",), EVERYWHERE, pot_lp, "ot.emd2 on the bins with mass", dense=True),
    Solver("POT emd2_1d", ("ot",), ("chain",), pot_line, "ot.emd2_1d on each pair"),
    Solver("POT wasserstein_1d", ("ot",), ("chain",), pot_line_batch, "ot.wasserstein_1d on all pairs", batched=True),
    Solver("POT wasserstein_circle", ("ot",), ("ring",), pot_circle_batch, "ot.wasserstein_circle", batched=True),
    Solver("SciPy", ("scipy",), ("chain",), scipy_line, "scipy.stats.wasserstein_distance on each pair"),
    Solver("scikit-bio", ("skbio",), ("tree",), scikit_bio, "beta_diversity of pairs, weighted_unifrac", batched=True),
    Solver(
        "unifrac", ("unifrac", "biom", "skbio"), ("tree",), unifrac, "weighted_unnormalized, all pairs", batched=True
    ),
)
