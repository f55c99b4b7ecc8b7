"""The Gibbs kernel of a tree: one sweep up, level by level, and one down.

What a node's siblings send to their parent is the sum over the siblings before it and those after it. Siblings stand
side by side within their level, so both sums are scans. Slot v has ln of the sum below node v; slot nodes + v that of
what arrives there from above.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...spaces.contraction import contract
from ..primitives.intrinsics import cuda, device
from .logsumexp import logsumexp
from .state import load, log_weight, store
from .sweeps import load_int, scan, sweeps_of_edges


class Tree(NamedTuple):
    """What the sweeps of a tree read.

    The nodes of the contracted tree, bins among them as leaves, are numbered level by level, the children of a node
    side by side.

    length : of the edge above each node
    parent, first, last : each node's parent, and its first and last sibling
    bins : the bin of a leaf, -1 for an inner node
    starts : first node of each level
    """

    length: Any
    parent: Any
    first: Any
    last: Any
    bins: Any
    starts: Any
    nodes: Any
    levels: Any


class Row(NamedTuple):
    """A row of weights, the addresses of its sums and scratch, and the nodes `begin`..`end` - 1 of a level."""

    x: Any
    sums: Any
    n: Any
    space: Any
    inverse_reg: Any
    scratch: Any
    begin: Any
    end: Any


def prepare(space):
    """Return what the sweeps of a tree read."""
    tree, n = contract(space.arrays, space.n), space.n
    inner = len(tree.up)
    up = np.concatenate([tree.up, tree.bin_parent]).astype(np.int64)
    length = np.concatenate([tree.length, tree.bin_length])
    bins = np.concatenate([np.full(inner, -1), np.arange(n)])
    depth = [0] * inner
    for v, above in enumerate(tree.up.tolist()):
        depth[v] = depth[above] + 1 if v else 0
    depths = np.concatenate([depth, np.array(depth)[tree.bin_parent] + 1]).astype(np.int64)
    # Level by level; within one by the parent's number, which has to be known before its children are sorted.
    number = np.zeros(inner + n, np.int64)
    order = []
    begin = 0
    starts = [0]
    by_depth = np.argsort(depths, kind="stable")
    for size in np.bincount(depths).tolist():
        nodes = by_depth[begin : begin + size]
        nodes = nodes[np.argsort(number[up[nodes]], kind="stable")]
        number[nodes] = np.arange(begin, begin + size)
        order.append(nodes)
        begin += size
        starts.append(begin)
    order = np.concatenate(order)
    parent = number[up[order]]
    parent[0] = -1
    first = np.searchsorted(parent, parent, side="left")
    last = np.searchsorted(parent, parent, side="right") - 1
    tables = [z.astype(np.int32) for z in (parent, first, last, bins[order], np.array(starts))]
    return Tree(length[order], *tables, len(order), len(starts) - 1)


def sibling_scans(size):
    """Return the two scans of a level: over the siblings before each node, and over those after it."""

    @device
    def outgoing(row, v):
        """What node v sends to its parent."""
        return load(row.scratch, v) - load(row.space.length, v) * row.inverse_reg

    @device
    def value(row, item):
        return outgoing(row, row.begin + item)

    @device
    def first_sibling(row, item):
        return load_int(row.space.first, row.begin + item) - row.begin

    @device
    def store_before(row, item, before, x):
        v = row.begin + item
        store(row.scratch, row.space.nodes + v, before)
        if v == load_int(row.space.last, v):
            store(row.scratch, load_int(row.space.parent, v), logsumexp(before, x))

    @device
    def value_from_end(row, item):
        return outgoing(row, row.end - 1 - item)

    @device
    def last_sibling(row, item):
        return row.end - 1 - load_int(row.space.last, row.end - 1 - item)

    @device
    def store_after(row, item, after, x):
        slot = row.space.nodes + row.end - 1 - item
        store(row.scratch, slot, logsumexp(load(row.scratch, slot), after))

    return scan(value, first_sibling, store_before, size), scan(value_from_end, last_sibling, store_after, size)


@functools.cache
def build(size):
    """Return the `Sweeps` of trees for a block of `size` threads."""
    scan_before, scan_after = sibling_scans(size)

    @device
    def descend(row):
        for v in range(row.begin + cuda.threadIdx.x, row.end, size):
            slot = row.space.nodes + v
            above = load(row.scratch, row.space.nodes + load_int(row.space.parent, v))
            edge = load(row.space.length, v) * row.inverse_reg
            arriving = logsumexp(above, load(row.scratch, slot)) - edge
            store(row.scratch, slot, arriving)
            j = load_int(row.space.bins, v)
            if j >= 0:
                store(row.sums, j, logsumexp(load(row.scratch, v), arriving))
        cuda.syncthreads()

    @device
    def apply_kernel(x, sums, n, space, inverse_reg, scratch):
        for v in range(cuda.threadIdx.x, space.nodes, size):
            j = load_int(space.bins, v)
            store(scratch, v, log_weight(x, j) if j >= 0 else -math.inf)
            store(scratch, space.nodes + v, -math.inf)
        cuda.syncthreads()
        for level in range(space.levels - 1, 0, -1):
            begin, end = load_int(space.starts, level), load_int(space.starts, level + 1)
            row = Row(x, sums, n, space, inverse_reg, scratch, begin, end)
            scan_before(row, end - begin)
            scan_after(row, end - begin)
        for level in range(1, space.levels):
            begin, end = load_int(space.starts, level), load_int(space.starts, level + 1)
            descend(Row(x, sums, n, space, inverse_reg, scratch, begin, end))

    return sweeps_of_edges(apply_kernel, size)
