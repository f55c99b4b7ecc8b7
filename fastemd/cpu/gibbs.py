"""The Gibbs kernel exp(-distance / reg) of chains and trees, applied in O(n): it is a product along the path.

Every weight u_j travels from its bin to all others and is multiplied by exp(-length / reg) on each edge; where ways
meet, sums do. So each sum over all bins is two sweeps: on a chain one from either end, on a tree one up and one down.
Nothing is ever subtracted, hence nothing cancels: what reaches a child from its siblings is put together from those
before and those after it, not as what all of them send less its own.

A room's `sweep` finds the weights in places 0..n-1 of the buffer and leaves there, elsewhere, what `total` and
`crossing` read: the sum at bin i, and what the edges cost when one set of weights meets another.
"""

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from .lanes import INLINE, lanes
from .wide import fetch, nothing, plus, product, stow, times, weights


class Chain(NamedTuple):
    """Length and weight of the edge after each bin, and how many places of a buffer a sweep needs."""

    length: np.ndarray
    weight: np.ndarray
    power: np.ndarray
    places: int


class Tree(NamedTuple):
    """The edges above inner nodes (`up`, `length`) and above bins (`onto`, `hang`), as in `fastemd.cpu.tree`."""

    up: np.ndarray
    length: np.ndarray
    weight: np.ndarray
    power: np.ndarray
    onto: np.ndarray
    hang: np.ndarray
    hang_weight: np.ndarray
    hang_power: np.ndarray
    places: int


def chain(length, reg, wide):
    """What the sweep of a chain reads; an edge is added after the last bin."""
    length = np.append(length, 0.0)
    return Chain(length, *weights(length / reg, wide), 3 * len(length))


def tree(prepared, n, reg, wide):
    """What the sweep of a tree reads, out of the contracted tree of `fastemd.cpu.tree.prepare`."""
    onto, hang = prepared.onto[:n], prepared.hang[:n]
    return Tree(
        prepared.up,
        prepared.length,
        *weights(prepared.length / reg, wide),
        onto,
        hang,
        *weights(hang / reg, wide),
        2 * n + 5 * len(prepared.up),
    )


def sweep(space, n, buffer):
    """Spread the weights in places 0..n-1 over the space."""


def total(space, n, buffer, i):
    """The sum that has arrived at bin i, after a sweep."""


def crossing(space, n, buffer, other, scale):
    """Sum over all pairs of the distance times weight times weight times kernel, after a sweep of either buffer."""


def furnish(layout, **rooms):
    """Make the functions above for the spaces that `layout`, a NamedTuple class, describes."""
    for generic in (sweep, total, crossing):
        overload(generic, jit_options=INLINE)(_chosen(layout, rooms[generic.__name__]))


def _chosen(layout, function):
    names = function.__code__.co_varnames[: function.__code__.co_argcount]

    def of(space):
        return isinstance(space, types.BaseNamedTuple) and space.instance_class is layout

    choices = {
        3: lambda space, n, buffer: function if of(space) else None,
        4: lambda space, n, buffer, i: function if of(space) else None,
        5: lambda space, n, buffer, other, scale: function if of(space) else None,
    }
    return choices[len(names)]


def sweep_chain(space, n, buffer):
    """Leave in places n..2n-1 what comes from the left, the bin's own included, and in 2n..3n-1 what from the right.

    Both ways in one loop: each waits for its last sum, and they do not wait for each other.
    """
    left, right = fetch(buffer, 0, space.power), fetch(buffer, n - 1, space.power)
    stow(buffer, n, left)
    stow(buffer, 3 * n - 1, nothing(space.power))
    for i in range(1, n):
        left = plus(fetch(buffer, i, space.power), times(left, space.weight, space.power, i - 1))
        stow(buffer, n + i, left)
        j = n - 1 - i
        arriving = times(right, space.weight, space.power, j)
        stow(buffer, 2 * n + j, arriving)
        right = plus(fetch(buffer, j, space.power), arriving)


def total_chain(space, n, buffer, i):
    """What comes from either side."""
    return plus(fetch(buffer, n + i, space.power), fetch(buffer, 2 * n + i, space.power))


def crossing_chain(space, n, buffer, other, scale):
    """Each edge is crossed by what stands left of it here and right of it there, and the other way round."""
    cost = lanes(0.0)
    for e in range(n - 1):
        there = product(fetch(buffer, n + e, space.power), fetch(other, 2 * n + e, space.power), scale)
        back = product(fetch(other, n + e, space.power), fetch(buffer, 2 * n + e, space.power), scale)
        cost += space.length[e] * (there + back)
    return cost


furnish(Chain, sweep=sweep_chain, total=total_chain, crossing=crossing_chain)


def sweep_tree(space, n, buffer):
    """Up: every node sends its sum to the one above. Down: every node gets what its siblings and all above them sent.

    Places: n.. what has come to each bin from elsewhere; then, for each inner node, the sum of its bins, the sum of
    its inner children, what came to it from above, what it sent up, and a sum that runs over its children.
    """
    power = space.power
    nodes = space.up.size
    bins, inner, above, sent, running = 2 * n, 2 * n + nodes, 2 * n + 2 * nodes, 2 * n + 3 * nodes, 2 * n + 4 * nodes
    for v in range(nodes):
        stow(buffer, bins + v, nothing(power))
        stow(buffer, inner + v, nothing(power))
    for i in range(n):
        p = bins + space.onto[i]
        before = fetch(buffer, p, power)
        stow(buffer, n + i, before)
        stow(buffer, p, plus(before, times(fetch(buffer, i, power), space.hang_weight, space.hang_power, i)))
    for v in range(nodes - 1, 0, -1):
        up = inner + space.up[v]
        sum_ = plus(fetch(buffer, bins + v, power), fetch(buffer, inner + v, power))
        sending = times(sum_, space.weight, power, v)
        later = fetch(buffer, up, power)
        stow(buffer, above + v, later)
        stow(buffer, sent + v, sending)
        stow(buffer, up, plus(later, sending))
    stow(buffer, above, nothing(power))
    stow(buffer, running, fetch(buffer, bins, power))
    for v in range(1, nodes):
        up = running + space.up[v]
        earlier = fetch(buffer, up, power)
        arriving = times(plus(earlier, fetch(buffer, above + v, power)), space.weight, power, v)
        stow(buffer, above + v, arriving)
        stow(buffer, up, plus(earlier, fetch(buffer, sent + v, power)))
        stow(buffer, running + v, plus(arriving, fetch(buffer, bins + v, power)))
    for v in range(nodes):
        stow(buffer, running + v, plus(fetch(buffer, above + v, power), fetch(buffer, inner + v, power)))
    for i in range(n - 1, -1, -1):
        p = running + space.onto[i]
        others = fetch(buffer, p, power)
        arriving = plus(others, fetch(buffer, n + i, power))
        stow(buffer, n + i, times(arriving, space.hang_weight, space.hang_power, i))
        stow(buffer, p, plus(others, times(fetch(buffer, i, power), space.hang_weight, space.hang_power, i)))


def total_tree(space, n, buffer, i):
    """The bin's own weight, and what comes from elsewhere."""
    return plus(fetch(buffer, i, space.power), fetch(buffer, n + i, space.power))


def crossing_tree(space, n, buffer, other, scale):
    """Each edge is crossed by what stands below it here and arrives from above there, and the other way round."""
    power = space.power
    nodes = space.up.size
    bins, inner, above = 2 * n, 2 * n + nodes, 2 * n + 2 * nodes
    cost = lanes(0.0)
    for i in range(n):
        there = product(fetch(buffer, i, power), fetch(other, n + i, power), scale)
        back = product(fetch(other, i, power), fetch(buffer, n + i, power), scale)
        cost += space.hang[i] * (there + back)
    for v in range(1, nodes):
        below = plus(fetch(buffer, bins + v, power), fetch(buffer, inner + v, power))
        there = product(below, fetch(other, above + v, power), scale)
        below = plus(fetch(other, bins + v, power), fetch(other, inner + v, power))
        back = product(below, fetch(buffer, above + v, power), scale)
        cost += space.length[v] * (there + back)
    return cost


furnish(Tree, sweep=sweep_tree, total=total_tree, crossing=crossing_tree)
