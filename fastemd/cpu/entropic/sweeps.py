"""The Gibbs kernel exp(-distance / reg) of a space, applied in O(n): it is a product along each path.

A weight u_j travels from its bin to all others and is multiplied by exp(-length / reg) on each edge; where paths meet,
their sums are added. So the sums at all bins take two sweeps: on a chain one from either end, on a tree one up and one
down. Nothing is ever subtracted, so nothing cancels: a child receives the sums of the siblings before it and of those
after it, not the sum of all children less its own.

Before a sweep the weights are in entries 0..n-1 of scratch. After it the other entries hold what `total` and
`transport_cost` read. An entry is one number of `fastemd.cpu.simd.extended_range`: one slot, or two.
"""

from ..layouts import implement


def sweep(space, n, scratch):
    """Apply the Gibbs kernel to the weights in entries 0..n-1."""


def total(space, n, scratch, i):
    """Return the sum at bin i, after a sweep."""


def transport_cost(space, n, scratch, other, scale):
    """Return the sum of distance * weight * weight * kernel over all pairs of bins, after a sweep of both scratches."""


def register(layout, **functions):
    """Register the functions `sweep`, `total` and `transport_cost` of a layout."""
    for generic in (sweep, total, transport_cost):
        implement(layout, generic, functions[generic.__name__])
