"""The Gibbs kernel of a tree: one sweep from the leaves to the root, and one back."""

from typing import NamedTuple

import numpy as np

from ..exact.launch import prepared
from ..simd.extended_range import add, load_number, product, store_number, times_weight, weights, zero
from ..simd.lanes import lanes
from .sweeps import register


class Tree(NamedTuple):
    """The edges above inner nodes and bins, as in `fastemd.cpu.exact.tree`, and their weights exp(-length / reg)."""

    up: np.ndarray
    length: np.ndarray
    weight: np.ndarray
    exponent: np.ndarray
    bin_parent: np.ndarray
    bin_length: np.ndarray
    bin_weight: np.ndarray
    bin_exponent: np.ndarray
    entries: int


def prepare(space, reg, extended):
    """Return the layout, which shares the contracted tree of `fastemd.cpu.exact.tree`."""
    tree, n = prepared(space), space.n
    bin_parent, bin_length = tree.bin_parent[:n], tree.bin_length[:n]
    return Tree(
        tree.up,
        tree.length,
        *weights(tree.length / reg, extended),
        bin_parent,
        bin_length,
        *weights(bin_length / reg, extended),
        2 * n + 5 * len(tree.up),
    )


def sweep(space, n, scratch):
    """Up: every node passes its sum to its parent. Down: every node receives the sums of its siblings and from above.

    Entries n.. are the sums from other bins. The next entries are, for each inner node: the sum of its bins, the sum of
    its inner children, the sum that it receives from above, the sum that it passes up, and a running sum over its
    children.
    """
    exponent = space.exponent
    nodes = space.up.size
    bins, inner, above, up, running = 2 * n, 2 * n + nodes, 2 * n + 2 * nodes, 2 * n + 3 * nodes, 2 * n + 4 * nodes
    for v in range(nodes):
        store_number(scratch, bins + v, zero(exponent))
        store_number(scratch, inner + v, zero(exponent))
    for i in range(n):
        parent = bins + space.bin_parent[i]
        earlier = load_number(scratch, parent, exponent)
        passed = times_weight(load_number(scratch, i, exponent), space.bin_weight, space.bin_exponent, i)
        store_number(scratch, n + i, earlier)
        store_number(scratch, parent, add(earlier, passed))
    for v in range(nodes - 1, 0, -1):
        parent = inner + space.up[v]
        subtree = add(load_number(scratch, bins + v, exponent), load_number(scratch, inner + v, exponent))
        passed = times_weight(subtree, space.weight, exponent, v)
        later = load_number(scratch, parent, exponent)
        store_number(scratch, above + v, later)
        store_number(scratch, up + v, passed)
        store_number(scratch, parent, add(later, passed))
    store_number(scratch, above, zero(exponent))
    store_number(scratch, running, load_number(scratch, bins, exponent))
    for v in range(1, nodes):
        parent = running + space.up[v]
        earlier = load_number(scratch, parent, exponent)
        arriving = times_weight(add(earlier, load_number(scratch, above + v, exponent)), space.weight, exponent, v)
        store_number(scratch, above + v, arriving)
        store_number(scratch, parent, add(earlier, load_number(scratch, up + v, exponent)))
        store_number(scratch, running + v, add(arriving, load_number(scratch, bins + v, exponent)))
    for v in range(nodes):
        store_number(
            scratch,
            running + v,
            add(load_number(scratch, above + v, exponent), load_number(scratch, inner + v, exponent)),
        )
    for i in range(n - 1, -1, -1):
        p = running + space.bin_parent[i]
        others = load_number(scratch, p, exponent)
        arriving = add(others, load_number(scratch, n + i, exponent))
        store_number(scratch, n + i, times_weight(arriving, space.bin_weight, space.bin_exponent, i))
        store_number(
            scratch,
            p,
            add(others, times_weight(load_number(scratch, i, exponent), space.bin_weight, space.bin_exponent, i)),
        )


def total(space, n, scratch, i):
    """The bin's own weight, and the sum from other bins."""
    return add(load_number(scratch, i, space.exponent), load_number(scratch, n + i, space.exponent))


def transport_cost(space, n, scratch, other, scale):
    """Over each edge goes mass from below it in scratch to above it in other, and vice versa."""
    exponent = space.exponent
    nodes = space.up.size
    bins, inner, above = 2 * n, 2 * n + nodes, 2 * n + 2 * nodes
    cost = lanes(0.0)
    for i in range(n):
        forth = product(load_number(scratch, i, exponent), load_number(other, n + i, exponent), scale)
        back = product(load_number(other, i, exponent), load_number(scratch, n + i, exponent), scale)
        cost += space.bin_length[i] * (forth + back)
    for v in range(1, nodes):
        below = add(load_number(scratch, bins + v, exponent), load_number(scratch, inner + v, exponent))
        forth = product(below, load_number(other, above + v, exponent), scale)
        below = add(load_number(other, bins + v, exponent), load_number(other, inner + v, exponent))
        back = product(below, load_number(scratch, above + v, exponent), scale)
        cost += space.length[v] * (forth + back)
    return cost


register(Tree, sweep=sweep, total=total, transport_cost=transport_cost)
