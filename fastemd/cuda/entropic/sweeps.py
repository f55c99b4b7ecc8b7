"""The Gibbs kernel exp(-distance / reg) of a space, applied in O(n) by a block of threads to a row.

All sums are known by their logarithms, so weights may be of any size. Nothing is ever subtracted, so nothing cancels.

Each kind of space (`chain`, `ring`, `tree`) has a NamedTuple, whose fields are arrays on the host and addresses in a
kernel; `prepare`, which makes it; and `build`, which makes the `Sweeps`. A row has `SLOTS` numbers of scratch for each
of the `nodes`. A sweep takes the `levels` one after the other.
"""

import math
from typing import Any

from ..primitives import intrinsics
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types
from .logsumexp import clamped_exp, logsumexp, segmented_scan
from .state import load

SLOTS = 4


class Sweeps(DeviceFunctions):
    """Device functions of a block on a row. All threads call both, and may read each other's sums after `apply_kernel`.

    apply_kernel(x, sums, n, space, inverse_reg, scratch)       store ln of the sum of weight * kernel at each bin
    transport_cost(x, y, sums, n, space, inverse_reg, scratch)  return a thread's share of the transport cost

    `x` and `y` are `fastemd.cuda.entropic.state.Weights`; `sums` and `scratch` are the row's addresses.
    """

    apply_kernel: Any
    transport_cost: Any


@device
def load_int(vector, i):
    """Return entry i of a vector of int32."""
    return types.int64(intrinsics.load(vector + 4 * i, types.int32))


def scan(value, first_of, store, size):
    """Return the function that scans the `count` items of a row along segments, tile by tile.

    `value(row, item)` is the logarithm of an item, `first_of(row, item)` the first item of its segment. The scan calls
    `store(row, item, before, x)` with the logsumexp of the segment's earlier items and the item's own value.
    """
    segments = segmented_scan(size)

    @device
    def scan_row(row, count):
        carry = -math.inf
        for start in range(0, count, size):
            item = start + cuda.threadIdx.x
            inside = item < count
            x, first = -math.inf, types.int64(0)
            if inside:
                x, first = value(row, item), first_of(row, item) - start
            before = segments.before(x, max(first, 0))
            if first < 0:
                before = logsumexp(carry, before)
            if inside:
                store(row, item, before, x)
            carry = segments.last(logsumexp(before, x))

    return scan_row


def sweeps_of_edges(apply_kernel, size):
    """Return the `Sweeps` of a chain or tree, whose `apply_kernel` leaves two numbers for each node's edge in scratch.

    `one`, in the first `nodes` slots, and `other`, in the next, are logarithms of the sums on either side of the edge.
    The transport cost is the sum over the edges of length * (e**(one_x + other_y) + e**(one_y + other_x)).
    """

    @device
    def transport_cost(x, y, sums, n, space, inverse_reg, scratch):
        nodes = space.nodes
        scratch_y = scratch + 16 * nodes
        apply_kernel(x, sums, n, space, inverse_reg, scratch)
        apply_kernel(y, sums, n, space, inverse_reg, scratch_y)
        cost = 0.0
        for i in range(cuda.threadIdx.x, nodes, size):
            forth = clamped_exp(load(scratch, i) + load(scratch_y, nodes + i))
            back = clamped_exp(load(scratch_y, i) + load(scratch, nodes + i))
            cost = intrinsics.plus(cost, load(space.length, i) * (forth + back))
        return cost

    return Sweeps(apply_kernel=apply_kernel, transport_cost=transport_cost)
