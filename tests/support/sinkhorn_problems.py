"""What the proofs of Sinkhorn's functions share: problems on costs and spaces, rounding of plans, and allowances."""

import numpy as np
from hypothesis import strategies as st

import fastemd as fe
from tests.support.strategies import chains, rings, trees
from tests.support.tolerance import tolerance

AGREED = 1e-9  # how far two solvers that have converged may lie apart, the costs being of size 1
FINE = 1e-13  # the marginal error that such problems are solved to


def spaces(most=24):
    """Spaces whose diameter is 1, or 0."""
    return st.one_of(chains(most), rings(most), trees(most)).map(unit)


def unit(space):
    """The space, scaled to a diameter of 1."""
    size = space.diameter or 1.0
    if space.kind == "chain":
        x = space.positions / size
        return fe.Chain(positions=x) if np.all(np.diff(x) > 0) else fe.Chain(space.n)
    if space.kind == "ring":
        return fe.Ring(lengths=space.lengths / size)
    return fe.Tree(space.parent, space.length / size, space.bins)


def histograms(rng, rows, n, zeros=0.0):
    """Rows of mass 1, of which some bins are empty."""
    x = rng.random((rows, n)) + 0.05
    x[rng.random(x.shape) < zeros] = 0.0
    x[x.sum(axis=1) == 0.0, 0] = 1.0
    return x / x.sum(axis=1, keepdims=True)


@st.composite
def problems(draw, zeros=(0.0, 0.3), square=False):
    """Histograms a (rows, n) and b (rows, k), and a cost within 0..1, of points or at random."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 14))
    k = n if square else draw(st.integers(1, 14))
    rows = draw(st.sampled_from([1, 3, 9]))
    x, y = rng.random((n, 2)), rng.random((k, 2))
    if square:
        y = x
    cost = ((x[:, None] - y) ** 2).sum(axis=-1) / 2
    if not square and draw(st.booleans()):
        cost = rng.random((n, k))
    share = draw(st.sampled_from(zeros))
    return histograms(rng, rows, n, share), histograms(rng, rows, k, share), cost


def rounded(plan, a, b):
    """A plan with just the marginals a and b, near the given one.

    Altschuler, Weed, Rigollet: Near-linear time approximation algorithms for optimal transport via Sinkhorn iteration,
    NIPS 2017, algorithm 2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        plan = plan * np.nan_to_num(np.minimum(1.0, a / plan.sum(axis=1)))[:, None]
        plan = plan * np.nan_to_num(np.minimum(1.0, b / plan.sum(axis=0)))
    left, right = a - plan.sum(axis=1), b - plan.sum(axis=0)
    lacking = left.sum()
    return plan + np.outer(left, right) / lacking if lacking > 0 else plan


def dense_sums(x, cost):
    """Ln of the sum of exp(x_j - cost_ij) over j, for rows x."""
    exponent = x[:, None, :] - cost
    top = exponent.max(axis=-1)
    return top + np.log(np.exp(exponent - top[..., None]).sum(axis=-1))


def rounding(n, largest=1.0, c=8):
    """What float64 may lose on n terms of size `largest`."""
    return tolerance(np.float64, n, largest, 1.0, c=c)
