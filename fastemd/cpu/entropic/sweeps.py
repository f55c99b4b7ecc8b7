"""The Gibbs kernel exp(-distance / reg) of a space, applied in O(n): it is a product along each path.

Every weight u_j travels from its bin to all others and is multiplied by exp(-length / reg) on each edge; where paths
meet, the sums of weights do. So each sum over all bins takes two sweeps: on a chain one from either end, on a tree one
up and one down. Nothing is ever subtracted, hence nothing cancels: what reaches a child from its siblings is the sum
over those before it and those after it, not the sum over all of them less its own.

A sweep finds the weights in slots 0..n-1 of the buffer and leaves elsewhere what `total` and `transport_cost` read: the
sum at bin i, and what the edges cost when one set of weights meets another.
"""

from numba import types
from numba.extending import overload

from ..simd.lanes import INLINE


def sweep(space, n, buffer):
    """Spread the weights in places 0..n-1 over the space."""


def total(space, n, buffer, i):
    """The sum that has arrived at bin i, after a sweep."""


def transport_cost(space, n, buffer, other, scale):
    """Sum over all pairs of the distance times weight times weight times kernel, after a sweep of either buffer."""


def register(layout, sweep_of, total_of, transport_cost_of):
    """Implement the functions above for the spaces that `layout`, a NamedTuple class, describes."""

    def of(space):
        return isinstance(space, types.BaseNamedTuple) and space.instance_class is layout

    overload(sweep, jit_options=INLINE)(lambda space, n, buffer: sweep_of if of(space) else None)
    overload(total, jit_options=INLINE)(lambda space, n, buffer, i: total_of if of(space) else None)
    overload(transport_cost, jit_options=INLINE)(
        lambda space, n, buffer, other, scale: transport_cost_of if of(space) else None
    )
