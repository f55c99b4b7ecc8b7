"""The tree: one sweep from the leaves to the root, and for the potential one back.

Nodes are numbered depth first, a parent before its children. Going through the numbers backwards, every node has
received the flow of its children when its turn comes, whatever the tree's shape or depth; going forwards, every
node's parent already has its potential.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from ..laws import cost, slope
from . import sweeps
from .lanes import WIDTH, get, lanes, nowhere, put


class Tree(NamedTuple):
    """For each node in depth-first order its parent (`up`) and the edge above it (`length`).

    `place` and `edge` tell which slot holds a bin and an edge, `bare` lists the nodes that are no bins.
    """

    up: np.ndarray
    length: np.ndarray
    place: np.ndarray
    edge: np.ndarray
    bare: np.ndarray
    root: int


def prepare(arrays, n):
    """Pad `place` and `edge` to whole blocks of eight with one slot more than there are nodes."""
    nodes = len(arrays.up)
    bare = np.setdiff1d(np.arange(nodes), arrays.place, assume_unique=True)
    return Tree(arrays.up, arrays.length, _padded(arrays.place, nodes), _padded(arrays.edge, nodes), bare, 0), nodes + 1


def _padded(slots, spare):
    whole = np.full(-(-len(slots) // WIDTH) * WIDTH, spare)
    whole[: len(slots)] = slots
    return whole


@njit(**sweeps.INLINE)
def scatter(source, space, n, buffer):
    """Put the differences where their nodes are."""
    moved = lanes(0.0)
    negative = nowhere()
    for node in space.bare:
        put(buffer, node, lanes(0.0))
    for j in range(0, n, WIDTH):
        columns, signs = sweeps.block(source, j, n)
        negative |= signs
        for k, difference in enumerate(columns):
            put(buffer, space.place[j + k], difference)
            moved += abs(difference)
    return moved, negative


def value(source, space, rho, n, buffer):
    """Each node passes to its parent what its bins have too much; the edge between them adds its cost."""
    moved, negative = scatter(source, space, n, buffer)
    total = lanes(0.0)
    for node in range(space.up.size - 1, 0, -1):
        phi = get(buffer, node)
        put(buffer, space.up[node], get(buffer, space.up[node]) + phi)
        total += cost(phi, space.length[node], rho)
    return total, (get(buffer, 0), moved, negative)


def potential(source, space, rho, n, buffer):
    """As `value`, leaving slopes behind; on the way back each node adds its slope to its parent's potential."""
    moved, negative = scatter(source, space, n, buffer)
    total = lanes(0.0)
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
        together += get(buffer, space.place[i])
    return total, (balance, moved, negative), together / n


def flow(source, space, rho, n, buffer):
    """As `value`; what reaches the root crosses no edge."""
    total, found = sweeps.value(source, space, rho, n, buffer)
    put(buffer, 0, lanes(0.0))
    return total, found


sweeps.furnish(Tree, value=value, potential=potential, flow=flow)
