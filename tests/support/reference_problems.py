"""What the proofs of the reference share: problems in float64, and the error they may make."""

import numpy as np
from hypothesis import strategies as st

from fastemd.spaces import Chain, Ring, Tree
from tests.support.strategies import chains, histogram_pairs, rings, spaces, trees
from tests.support.tolerance import tolerance

exponents = st.one_of(st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.floats(1.0, 4.0))


@st.composite
def problems(draw, kind=None):
    """A space (a Chain, Ring or Tree where `kind` says so) and two histograms of equal mass on it, in float64."""
    space = draw({None: spaces, Chain: chains, Ring: rings, Tree: trees}[kind]())
    return space, *draw(histogram_pairs(space))


def slack(space, mass, rho=1.0, length=None):
    """The `tolerance` of a value of `space`, whose error rounding magnifies by `rho`; of a flow with `length=1`."""
    total = float(np.sum(space.lengths)) if length is None else length
    return rho * tolerance(np.float64, max(space.n, space.m), mass**rho, total)


def dot(f, difference):
    """`sum(f * difference)` over the bins."""
    return np.sum(np.multiply(f, difference), axis=-1)


def close(value, expected, within):
    """Assert that no entry is further off than `within`."""
    np.testing.assert_allclose(value, expected, rtol=0, atol=within)
