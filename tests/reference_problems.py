"""What the proofs of the reference share: problems in float64, and the error they may make."""

import numpy as np
from hypothesis import strategies as st
from strategies import chains, rings, trees
from tolerance import tolerance

from fastemd.spaces import Chain, Ring, Tree

exponents = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.floats(1.0, 4.0))


@st.composite
def problems(draw, kind=None):
    """A space, and two histograms of equal mass: with many ties, or with hardly any; tiny, huge or empty."""
    space = draw({Chain: chains, Ring: rings, Tree: trees}[kind or draw(st.sampled_from([Chain, Ring, Tree]))]())
    few = st.integers(0, 3)
    numbers = st.one_of(few, few, st.integers(0, 10**6))
    a = np.array(draw(st.lists(numbers, min_size=space.n, max_size=space.n)), dtype=np.float64)
    b = a[list(draw(st.permutations(range(space.n))))]
    # Some of b's mass is moved on, so that b is not always a reordered.
    i, j = draw(st.tuples(*2 * [st.integers(0, space.n - 1)]))
    moved = np.floor(b[i] / 2)
    b[i] -= moved
    b[j] += moved
    unit = draw(st.sampled_from([1.0, 1.0, 2.0**-20, 2.0**20, 1 / 3, 0.1]))
    return space, unit * a, unit * b


def slack(space, mass, rho=1.0, length=None):
    """The `tolerance` of a value of `space`, whose error rounding magnifies by `rho`; of a flow with `length=1`."""
    total = float(np.sum(space.lengths)) if length is None else length
    return rho * tolerance(np.float64, max(space.n, space.m), mass**rho, total)


def dot(f, difference):
    """`sum(f * difference)` over the bins."""
    return np.sum(np.multiply(f, difference), axis=-1)
