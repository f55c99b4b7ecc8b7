"""The three sweeps that each space implements, and the loop over columns that they share.

A sweep visits the bins of eight pairs of histograms at once. Its `inputs` are two `Rows`, or the softmax of logits and
a target; `load_differences` loads a - b of eight bins from them. `chain`, `ring` and `tree` each implement

    value(inputs, space, rho, n, scratch)       return value, balance, negative
    flow(inputs, space, rho, n, scratch)        the same; leaves the flow in scratch
    potential(inputs, space, rho, n, scratch)   return value, balance, negative, mean; leaves the potential in scratch

`space` is the layout of the space and `scratch` has `space.slots` slots of `Lanes`. `balance` is the mass of a less
that of b. `negative` is a mask, true in some lane if any of the eight rows may have a negative entry. From both a
kernel tells good rows from bad ones without a second pass. `mean` is the mean potential of the bins; the potential is
known up to a constant.
"""

from numba import njit
from numba.extending import overload

from ..layouts import implement
from ..simd import rows
from ..simd.lanes import INLINE, WIDTH, no_lane


def load_differences(inputs, j, n):
    """Return columns j..j+7 of a - b, 0 from column n on, and the mask `negative` of these columns."""


def value(inputs, space, rho, n, scratch):
    """Return the value alone."""


def potential(inputs, space, rho, n, scratch):
    """Return the value and leave the potential of bin i in slot space.bin_slot[i]."""


def flow(inputs, space, rho, n, scratch):
    """Return the value and leave the flow of edge e in slot space.edge_slot[e]."""


def register(layout, **sweeps):
    """Register the sweeps `value`, `potential` and `flow` of a layout."""
    for generic in (value, potential, flow):
        implement(layout, generic, sweeps[generic.__name__])


@overload(load_differences, jit_options=INLINE)
def _load_differences_of_rows(inputs, j, n):
    if all(isinstance(each, rows.Rows) for each in inputs):
        return lambda inputs, j, n: rows.load_differences(inputs[0], inputs[1], j, n)
    return None


@njit(**INLINE)
def scan(inputs, n, consumer, state, space, rho, scratch):
    """Pass a - b of each bin to a consumer, in order; return the last state and the mask `negative`.

    `consumer(state, difference, i, space, rho, scratch)` returns the state after bin i. Bins from n on have difference
    0, up to whole blocks of eight.
    """
    negative = no_lane()
    for j in range(0, n, WIDTH):
        block, signs = load_differences(inputs, j, n)
        negative |= signs
        for k, difference in enumerate(block):
            state = consumer(state, difference, j + k, space, rho, scratch)
    return state, negative
