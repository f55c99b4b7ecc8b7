"""The tree: one sweep from the leaves to the root, and for the potential one back.

Each bin is attached to an inner node: a leaf by the edge above it, a bin that is an inner node itself by an edge of
length 0. So the edge above a leaf is finished as soon as the leaf is loaded, and only inner nodes are visited again.
Inner nodes are numbered depth first, a parent before its children. In descending order every node has received the flow
of its children when its turn comes, whatever the tree's shape or depth; in ascending order every node's parent already
has its potential.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ...formulas.edge import cost, slope
from ...spaces.contraction import contract
from ..layouts import padded
from ..simd.lanes import INLINE, WIDTH, lanes, load, store
from . import sweeps


class Tree(NamedTuple):
    """The edges above inner nodes (`up`, `length`) and bins (`bin_parent`, `bin_length`), and the slots of scratch.

    No two bins are further apart than `max_distance`. Slots 0, 1, ... hold the inner nodes, 0 the root, and slots
    `bin_slot` the bins. `edge_slot` gives the slot of each edge's flow: the last slot for edges that never have any.
    """

    up: np.ndarray
    length: np.ndarray
    bin_parent: np.ndarray
    bin_length: np.ndarray
    max_distance: float
    bin_slot: np.ndarray
    edge_slot: np.ndarray
    root_slot: int
    slots: int


def prepare(arrays, n):
    """Return the layout of the contracted tree, its bins padded to whole blocks of eight by bins at the root."""
    tree = contract(arrays, n)
    inner, columns = len(tree.up), -(-n // WIDTH) * WIDTH
    last = inner + columns
    edge_slot = np.where(tree.edge == inner + n, last, tree.edge)
    return Tree(
        tree.up,
        tree.length,
        padded(tree.bin_parent),
        padded(tree.bin_length),
        2.0 * tree.height,
        inner + np.arange(columns),
        padded(edge_slot),
        0,
        last + 1,
    )


def _leaves_to_root(keep_bin, keep_node):
    """The sweep from the leaves to the root: each node passes the surplus of its bins to its parent.

    `keep_bin` and `keep_node` are called as ``keep(scratch, slot, phi, length, rho)`` for the edge above each bin and
    each inner node, and may store a number into the slot of that bin or node.
    """

    @njit(**INLINE)
    def visit_bin(total, phi, i, space, rho, scratch):
        parent = space.bin_parent[i]
        store(scratch, parent, load(scratch, parent) + phi)
        total += cost(phi, space.bin_length[i], rho)
        keep_bin(scratch, space.bin_slot[i], phi, space.bin_length[i], rho)
        return total

    @njit(**INLINE)
    def sweep(inputs, space, rho, n, scratch):
        for node in range(space.up.size):
            store(scratch, node, lanes(0.0))
        total, negative = sweeps.scan(inputs, n, visit_bin, lanes(0.0), space, rho, scratch)
        for node in range(space.up.size - 1, 0, -1):
            phi = load(scratch, node)
            store(scratch, space.up[node], load(scratch, space.up[node]) + phi)
            total += cost(phi, space.length[node], rho)
            keep_node(scratch, node, phi, space.length[node], rho)
        return total, load(scratch, 0), negative

    return sweep


@njit(**INLINE)
def _keep_nothing(scratch, slot, phi, length, rho):
    pass


@njit(**INLINE)
def _keep_flow(scratch, slot, phi, length, rho):
    store(scratch, slot, phi)


@njit(**INLINE)
def _keep_slope(scratch, slot, phi, length, rho):
    store(scratch, slot, slope(phi, length, rho))


_sweep_value = _leaves_to_root(_keep_nothing, _keep_nothing)
_sweep_flow = _leaves_to_root(_keep_flow, _keep_nothing)  # slots of inner nodes hold their flow already
_sweep_slopes = _leaves_to_root(_keep_slope, _keep_slope)


def value(inputs, space, rho, n, scratch):
    """Each node passes the surplus of its bins to its parent; the edge between them adds its cost."""
    return _sweep_value(inputs, space, rho, n, scratch)


def flow(inputs, space, rho, n, scratch):
    """As `value`; and the flow over each edge stays in scratch."""
    total, balance, negative = _sweep_flow(inputs, space, rho, n, scratch)
    store(scratch, space.slots - 1, lanes(0.0))
    return total, balance, negative


def potential(inputs, space, rho, n, scratch):
    """As `value`, leaving slopes in scratch; on the way back each slope is added to the potential of the parent."""
    total, balance, negative = _sweep_slopes(inputs, space, rho, n, scratch)
    store(scratch, 0, lanes(0.0))
    for node in range(1, space.up.size):
        store(scratch, node, load(scratch, node) + load(scratch, space.up[node]))
    sum_f = lanes(0.0)
    for i in range(n):
        f = load(scratch, space.bin_slot[i]) + load(scratch, space.bin_parent[i])
        store(scratch, space.bin_slot[i], f)
        sum_f += f
    return total, balance, negative, sum_f / n


sweeps.register(Tree, value=value, potential=potential, flow=flow)
