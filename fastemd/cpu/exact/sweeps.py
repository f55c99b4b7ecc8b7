"""What the rooms have in common: where a sweep's differences come from, and the three sweeps that every room has.

A sweep visits the bins of eight pairs of histograms at once. It asks its *source* for the differences a - b, eight
columns at a time: two `Rows`, or the softmax of logits against a target. The rooms `chain`, `ring` and `tree` each give

    value(source, space, rho, n, buffer)          the value
    potential(source, space, rho, n, buffer)      the value; the buffer holds the potential, up to a constant
    flow(source, space, rho, n, buffer)           the value; the buffer holds the flow

where `space` is the room's tuple of arrays and `buffer` has `space.slots` slots of `Lanes`. All return
`total, (balance, negative)`: the value; the mass of a less that of b; and where a negative number may have been, which
lets a kernel tell good rows from bad without a second pass. `potential` also returns the mean potential of the bins.
"""

from numba import types
from numba.extending import overload

from ..simd.lanes import INLINE
from ..simd.rows import Rows, differences


def block(source, j, n):
    """Columns j..j+7 of the source's differences, 0 from column n on; and where a negative mass may be."""


def value(source, space, rho, n, buffer):
    """The sweep that only adds up costs."""


def potential(source, space, rho, n, buffer):
    """The sweep that leaves the potential of bin i in slot space.place[i]."""


def flow(source, space, rho, n, buffer):
    """The sweep that leaves the flow of edge e in slot space.edge[e]."""


def furnish(layout, **sweeps):
    """Make the three sweeps of the spaces that `layout`, a NamedTuple class, describes."""
    for generic in (value, potential, flow):
        overload(generic, jit_options=INLINE)(_chosen(layout, sweeps[generic.__name__]))


def _chosen(layout, sweep):
    def choose(source, space, rho, n, buffer):
        if isinstance(space, types.BaseNamedTuple) and space.instance_class is layout:
            return sweep
        return None

    return choose


@overload(block, jit_options=INLINE)
def _block_of_rows(source, j, n):
    if all(isinstance(part, Rows) for part in source):
        return lambda source, j, n: differences(source[0], source[1], j, n)
