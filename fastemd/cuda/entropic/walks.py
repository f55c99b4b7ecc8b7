"""Sums of exp(x_j - distance(i, j) / reg) over the bins j of a space, in O(n), by a block of threads to a row.

On a chain it is a sum over the bins to the left and one over those to the right: with the position D of each bin over
reg, e**-D_i times the sum of e**(x_j + D_j), and likewise mirrored. Sums are known by their logarithms (`soft`), so
they may be of any size. On a tree sums travel up, level by level, and down again; what a node's siblings send to their
parent is put together from those before it and those after it, which stand side by side within their level. Nothing
is ever subtracted, so nothing cancels.

A *walk* is what a kernel reads of a space, all addresses; a row's scratch has two numbers for each of its `places`:

    chain   one: the sum up to a bin, times e**D; other: the sum from the next bin on, times e**-D
    tree    one: the sum below a node; other: what arrives there from above

So the transport cost is the sum over the places of length * (e**(one_x + other_y) + e**(one_y + other_x)).
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...spaces.contraction import contract
from ..primitives import intrinsics
from ..primitives.intrinsics import Parts, cuda, device, types
from ..primitives.memory import DOUBLE
from .logsumexp import growth, plus, segments


class Walk(NamedTuple):
    """Addresses of what a kernel reads of a chain or a tree, how many `places` and how many `levels` there are.

    `length` belongs to the edge after a bin of a chain, whose `position` is given, or above a node of a tree. The nodes
    of a tree, bins among them as leaves, are numbered level by level, the children of a node side by side: `parent`,
    `first` and `last` are a node's parent and its first and last sibling, `bins` the bin that a leaf is, -1 for none;
    level k begins at node `starts[k]`.
    """

    length: Any
    position: Any
    parent: Any
    first: Any
    last: Any
    bins: Any
    starts: Any
    places: Any
    levels: Any


class Row(NamedTuple):
    """A row that sums are made for, in levels of the places from `begin` to `end`.

    `x` are two addresses and a number, whose sum is the logarithm of each of the n weights; `sums` and `slot` are the
    addresses of its sums and of its scratch; `inverse` is 1 / reg.
    """

    x: Any
    sums: Any
    n: Any
    walk: Any
    inverse: Any
    slot: Any
    begin: Any
    end: Any


class Relay(Parts):
    """What a block of threads does to a row: all of them call it, and may read each other's results after `sums`.

    sums(x, sums, n, walk, inverse, slot)       leave ln of the sums at the n bins
    cost(x, y, sums, n, walk, inverse, slot)    each thread's share of the transport cost of weights x and y

    A row has `SLOTS` numbers of scratch for each of its places.
    """

    sums: Any
    cost: Any


SLOTS = 4


def prepare(space):
    """The arrays of a `Walk`, in its order, and its numbers."""
    if space.kind == "chain":
        length = np.append(space.arrays.length, 0.0)
        position = np.concatenate([[0.0], np.cumsum(space.arrays.length)])
        none = np.zeros(1, np.int32)
        return (length, position, none, none, none, none, none), (space.n, 0)
    return _levels(contract(space.arrays, space.n), space.n)


def _levels(tree, n):
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
    return (length[order], np.zeros(1), *tables), (len(order), len(starts) - 1)


@device
def whole_number(address, i):
    """Entry i of a vector of int32."""
    return types.int64(intrinsics.load(address + 4 * i, types.int32))


@device
def number(address, i):
    """Entry i of a vector of float64."""
    return DOUBLE.read(address + 8 * i)


@device
def put(address, i, x):
    """Write entry i of a vector of float64."""
    DOUBLE.write(address + 8 * i, x)


@device
def seed(x, j):
    """The logarithm of weight j: the sum of two vectors' entries and a number."""
    return number(x[0], j) + number(x[1], j) + x[2]


def sweeping(value, first_of, emit, size):
    """The function that goes along the `count` items of a row, in tiles.

    It hands the logarithm of what the segment's items before come to, and the item's own, to `emit`.
    """
    ours = segments(size)

    @device
    def sweep(row, count):
        carry = -math.inf
        for start in range(0, count, size):
            item = start + cuda.threadIdx.x
            here = item < count
            x, first = -math.inf, types.int64(0)
            if here:
                x, first = value(row, item), first_of(row, item) - start
            found = ours.before(x, max(first, 0))
            if first < 0:
                found = plus(carry, found)
            if here:
                emit(row, item, found, x)
            carry = ours.last(plus(found, x))

    return sweep


def _crossing(relay, size):
    """The `Relay` whose `sums` are given, and leave in scratch what crosses each edge."""

    @device
    def cost(x, y, sums, n, walk, inverse, slot):
        places = walk.places
        other = slot + 16 * places
        relay(x, sums, n, walk, inverse, slot)
        relay(y, sums, n, walk, inverse, other)
        found = 0.0
        for i in range(cuda.threadIdx.x, places, size):
            there = growth(number(slot, i) + number(other, places + i))
            back = growth(number(other, i) + number(slot, places + i))
            found = intrinsics.plus(found, number(walk.length, i) * (there + back))
        return found

    return Relay(sums=relay, cost=cost)


@functools.cache
def along_chain(size):
    """The `Relay` of chains for a block of `size` threads."""

    @device
    def position(row, j):
        return number(row.walk.position, j) * row.inverse

    @device
    def whole(row, item):
        return types.int64(0)

    @device
    def from_left(row, j):
        return seed(row.x, j) + position(row, j)

    @device
    def to_right(row, j, found, x):
        put(row.slot, j, plus(found, x))

    @device
    def from_right(row, item):
        j = row.n - 1 - item
        return seed(row.x, j) - position(row, j)

    @device
    def to_left(row, item, found, x):
        j = row.n - 1 - item
        at = position(row, j)
        put(row.slot, row.n + j, found)
        put(row.sums, j, plus(number(row.slot, j) - at, found + at))

    rightwards = sweeping(from_left, whole, to_right, size)
    leftwards = sweeping(from_right, whole, to_left, size)

    @device
    def sums(x, sums, n, walk, inverse, slot):
        row = Row(x, sums, n, walk, inverse, slot, types.int64(0), n)
        rightwards(row, n)
        leftwards(row, n)
        cuda.syncthreads()

    return _crossing(sums, size)


@functools.cache
def along_tree(size):
    """The `Relay` of trees for a block of `size` threads."""

    @device
    def edge(row, v):
        return number(row.walk.length, v) * row.inverse

    @device
    def sent(row, item):
        v = row.begin + item
        return number(row.slot, v) - edge(row, v)

    @device
    def eldest(row, item):
        return whole_number(row.walk.first, row.begin + item) - row.begin

    @device
    def after_elder(row, item, found, x):
        v = row.begin + item
        put(row.slot, row.walk.places + v, found)
        if v == whole_number(row.walk.last, v):
            put(row.slot, whole_number(row.walk.parent, v), plus(found, x))

    @device
    def sent_back(row, item):
        v = row.end - 1 - item
        return number(row.slot, v) - edge(row, v)

    @device
    def youngest(row, item):
        return row.end - 1 - whole_number(row.walk.last, row.end - 1 - item)

    @device
    def after_younger(row, item, found, x):
        place = row.walk.places + row.end - 1 - item
        put(row.slot, place, plus(number(row.slot, place), found))

    onwards = sweeping(sent, eldest, after_elder, size)
    backwards = sweeping(sent_back, youngest, after_younger, size)

    @device
    def descend(row):
        for v in range(row.begin + cuda.threadIdx.x, row.end, size):
            place = row.walk.places + v
            above = number(row.slot, row.walk.places + whole_number(row.walk.parent, v))
            arriving = plus(above, number(row.slot, place)) - edge(row, v)
            put(row.slot, place, arriving)
            j = whole_number(row.walk.bins, v)
            if j >= 0:
                put(row.sums, j, plus(number(row.slot, v), arriving))
        cuda.syncthreads()

    @device
    def sums(x, sums, n, walk, inverse, slot):
        for v in range(cuda.threadIdx.x, walk.places, size):
            j = whole_number(walk.bins, v)
            put(slot, v, seed(x, j) if j >= 0 else -math.inf)
            put(slot, walk.places + v, -math.inf)
        cuda.syncthreads()
        for level in range(walk.levels - 1, 0, -1):
            begin, end = whole_number(walk.starts, level), whole_number(walk.starts, level + 1)
            row = Row(x, sums, n, walk, inverse, slot, begin, end)
            onwards(row, end - begin)
            backwards(row, end - begin)
        for level in range(1, walk.levels):
            begin, end = whole_number(walk.starts, level), whole_number(walk.starts, level + 1)
            descend(Row(x, sums, n, walk, inverse, slot, begin, end))

    return _crossing(sums, size)
