"""The tree: one sweep from the leaves to the root, and for the potential one back.

Each bin hangs on an inner node: a leaf by the edge above it, a bin that is an inner node itself by an edge of length 0.
So what a leaf sends up is done with as soon as it is loaded, and only inner nodes wait for their turn. These are
numbered depth first, a parent before its children. Going through the numbers backwards, every node has received the
flow of its children when its turn comes, whatever the tree's shape or depth; going forwards, every node's parent
already has its potential.
"""

from typing import NamedTuple

import numpy as np

from ...formulas.edge import cost, slope
from ...spaces.contraction import contract
from ..simd.lanes import WIDTH, get, lanes, nowhere, put
from . import sweeps


class Tree(NamedTuple):
    """The edges above inner nodes (`up`, `length`) and above bins (`onto`, `hang`); no way is longer than `reach`.

    Slots 0, 1, ... hold the inner nodes, 0 the root; then come the bins, in slots `place`; `edge` tells which slot
    has the flow of an edge, the last one that of all edges that never have any.
    """

    up: np.ndarray
    length: np.ndarray
    onto: np.ndarray
    hang: np.ndarray
    reach: float
    place: np.ndarray
    edge: np.ndarray
    root: int
    slots: int


def prepare(arrays, n):
    """Contract the tree, and pad its bins to whole blocks of eight columns that hang on the root."""
    tree = contract(arrays, n)
    inner, blocks = len(tree.up), -(-n // WIDTH) * WIDTH
    none = inner + blocks
    edge = np.where(tree.edge == inner + n, none, tree.edge)
    return Tree(
        tree.up,
        tree.length,
        _padded(tree.onto, blocks),
        _padded(tree.hang, blocks),
        2.0 * tree.height,
        inner + np.arange(blocks),
        _padded(edge, -(-len(edge) // WIDTH) * WIDTH),
        0,
        none + 1,
    )


def _padded(vector, size):
    whole = np.zeros(size, vector.dtype)
    whole[: len(vector)] = vector
    return whole


def value(source, space, rho, n, buffer):
    """Each node passes to its parent what its bins have too much; the edge between them adds its cost."""
    total = lanes(0.0)
    negative = nowhere()
    for node in range(space.up.size):
        put(buffer, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, phi in enumerate(columns):
            above = space.onto[j + k]
            put(buffer, above, get(buffer, above) + phi)
            total += cost(phi, space.hang[j + k], rho)
    for node in range(space.up.size - 1, 0, -1):
        phi = get(buffer, node)
        put(buffer, space.up[node], get(buffer, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
    return total, (get(buffer, 0), negative)


def flow(source, space, rho, n, buffer):
    """As `value`; the flow over each edge stays, and what reaches the root crosses none."""
    total = lanes(0.0)
    negative = nowhere()
    for node in range(space.up.size):
        put(buffer, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, phi in enumerate(columns):
            above = space.onto[j + k]
            put(buffer, above, get(buffer, above) + phi)
            total += cost(phi, space.hang[j + k], rho)
            put(buffer, space.place[j + k], phi)
    for node in range(space.up.size - 1, 0, -1):
        phi = get(buffer, node)
        put(buffer, space.up[node], get(buffer, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
    balance = get(buffer, 0)
    put(buffer, space.slots - 1, lanes(0.0))
    return total, (balance, negative)


def potential(source, space, rho, n, buffer):
    """As `value`, leaving slopes behind; on the way back each slope is added to the potential of the node above."""
    total = lanes(0.0)
    negative = nowhere()
    for node in range(space.up.size):
        put(buffer, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, phi in enumerate(columns):
            above = space.onto[j + k]
            put(buffer, above, get(buffer, above) + phi)
            total += cost(phi, space.hang[j + k], rho)
            put(buffer, space.place[j + k], slope(phi, space.hang[j + k], rho))
    for node in range(space.up.size - 1, 0, -1):
        phi = get(buffer, node)
        put(buffer, space.up[node], get(buffer, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
        put(buffer, node, slope(phi, space.length[node], rho))
    balance = get(buffer, 0)
    put(buffer, 0, lanes(0.0))
    for node in range(1, space.up.size):
        put(buffer, node, get(buffer, node) + get(buffer, space.up[node]))
    together = lanes(0.0)
    for i in range(n):
        f = get(buffer, space.place[i]) + get(buffer, space.onto[i])
        put(buffer, space.place[i], f)
        together += f
    return total, (balance, negative), together / n


sweeps.furnish(Tree, value=value, potential=potential, flow=flow)
