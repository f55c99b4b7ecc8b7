"""The Gibbs kernel of a tree: one sweep from the leaves to the root, and one back."""

from typing import NamedTuple

import numpy as np

from ..exact.launch import prepared
from ..simd.extended_range import fetch, nothing, plus, product, stow, times, weights
from ..simd.lanes import lanes
from .sweeps import register


class Tree(NamedTuple):
    """The edges above inner nodes (`up`, `length`) and above bins (`onto`, `hang`), as in `fastemd.cpu.exact.tree`."""

    up: np.ndarray
    length: np.ndarray
    weight: np.ndarray
    power: np.ndarray
    onto: np.ndarray
    hang: np.ndarray
    hang_weight: np.ndarray
    hang_power: np.ndarray
    places: int


def prepare(space, reg, extended):
    """Return what the sweep of a tree reads, out of the contracted tree of `fastemd.cpu.exact.tree`."""
    tree, n = prepared(space), space.n
    onto, hang = tree.onto[:n], tree.hang[:n]
    return Tree(
        tree.up,
        tree.length,
        *weights(tree.length / reg, extended),
        onto,
        hang,
        *weights(hang / reg, extended),
        2 * n + 5 * len(tree.up),
    )


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


def transport_cost_tree(space, n, buffer, other, scale):
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


register(Tree, sweep_tree, total_tree, transport_cost_tree)
