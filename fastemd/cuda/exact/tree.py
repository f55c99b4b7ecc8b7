"""The tree: two prefix sums in shared memory, over its bins and over its inner edges, both in depth-first order.

The bins below an edge are adjacent in depth-first order, so a tree of any shape and depth needs no more than a chain:

- The differences of a row are loaded side by side, scattered to depth-first order and summed. The flow over an inner
  edge is the prefix sum at its last bin less that before its first one. Without a difference between them the flow is
  exactly 0, which rounding would hide; so differences are counted too.
- The slope of an inner edge is added where the edge opens and subtracted where it closes, on a walk around the inner
  nodes. The prefix sum of these at the opening of a node is its potential. The potential of a bin adds the slope of the
  edge between it and its node (`fastemd.spaces.contraction`).

A row is one tile: a thread keeps its columns in registers from their load to the store of the gradient. Rows that are
longer, or whose prefix sums do not fit in shared memory, are those of `fastemd.cuda.exact.long_tree`.

Shared memory holds the prefix sums of the bins, a 0, those of the inner edges, and the counts. Threads have adjacent
entries; an unused one follows those of each thread, so that the threads of a warp access different banks.
"""

from typing import NamedTuple

import numpy as np

from ...formulas.edge import cost, slope
from ...spaces.contraction import contract
from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from .euler_tour import last_below
from .path import interleaved, interleaved_load
from .sweeps import Sweeps

COLUMNS = 8


class Layout(NamedTuple):
    """Addresses of arrays by bin (interleaved), by inner edge and by edge of the tree; and their lengths.

    bin_slots : where the prefix sum at a bin is stored
    parent_slots : where the potential of the inner node of a bin is stored
    lengths : of the edge between a bin and its inner node
    inner_edges : four numbers of an inner edge: where the prefix sums before and at its last bin are, where it opens
        and where it closes
    inner_lengths, bins_below : of an inner edge
    edges : four numbers of an edge of the tree: the prefix sums of an inner edge or twice the same, and the bin below
        the edge or -1; and 0
    inner_count, edge_count
    """

    bin_slots: int
    parent_slots: int
    lengths: int
    inner_edges: int
    inner_lengths: int
    bins_below: int
    edges: int
    inner_count: int
    edge_count: int


def columns(arrays, n):
    """As in `chain`."""
    return n


def slots(arrays, n, group):
    """As in `chain`."""
    region, inner_slots = _regions(2 * len(contract(arrays, n).up) - 2, group)
    return inner_slots + region + 1 + (region + 2) // 2


def _regions(inner_columns, group):
    """Return the slots of the prefix sums of bins, and of those of inner edges."""
    region = group.size * (group.columns + 1)
    return region, -(-inner_columns // group.tile) * region


def _slot(position, group):
    """Return the slot of a position in depth-first order."""
    return position + position // group.columns


def prepare(arrays, n, group):
    """As in `chain`."""
    tree = contract(arrays, n)
    inner, zero = len(tree.up), group.size * (group.columns + 1)
    position = np.empty(n, np.intp)
    position[np.argsort(arrays.place, kind="stable")] = np.arange(n)
    at, after = tree.position, last_below(arrays.up)[tree.position] + 1
    bins_before = np.concatenate([[0], np.cumsum(np.bincount(arrays.place, minlength=len(arrays.up)))])
    first, end = bins_before[at], bins_before[after]
    opened = np.arange(inner) - 1 + np.searchsorted(np.sort(after[1:]), at, side="right")
    closed = opened + 2 * (np.searchsorted(at, after) - np.arange(inner)) - 1
    opening, closing = (zero + 1 + _slot(x, group) for x in (opened, closed))
    opening[0] = zero
    before, last = np.where(first > 0, _slot(first - 1, group), zero), _slot(end - 1, group)
    own = np.where(tree.edge < inner, tree.edge, 0)
    is_bin = (tree.edge >= inner) & (tree.edge < inner + n)
    edges = np.stack([before[own], np.where(own > 0, last[own], before[own]), np.where(is_bin, tree.edge - inner, -1)])
    edges = np.concatenate([edges, np.zeros((1, edges.shape[1]), np.intp)])
    padded = np.arange(group.tile)
    padded[:n] = position
    return (
        interleaved(_slot(padded, group).astype(np.int32), group, 0),
        interleaved(opening[tree.bin_parent].astype(np.int32), group, zero),
        interleaved(tree.bin_length, group, 0.0),
        np.roll(np.stack([before, last, opening, closing], axis=1), -1, axis=0).astype(np.int32).reshape(-1),
        np.roll(tree.length, -1),
        np.roll(end - first, -1).astype(np.int32),
        edges.T.astype(np.int32).reshape(-1),
    ), (inner - 1, len(tree.edge))


def sweeps(loader, group, scratch):
    """The `Sweeps` of a tree."""
    count, size, tile = group.columns, group.size, group.tile
    stride = count + 1
    zero = size * stride
    load_slot, store_slot = scratch.load, scratch.store
    load_lengths, load_slots = interleaved_load(group, types.float64), interleaved_load(group, types.int32)

    @device
    def first_count(row):
        """The index of the counts in shared memory, as int32."""
        inner_tiles = (2 * row.space.inner_count + tile - 1) // tile
        return types.uint32(2 * (row.scratch + zero * (1 + inner_tiles) + 1))

    @device
    def prefix_sums(row, phi):
        """Store the prefix sums of the differences in phi, and the counts; return the sum."""
        slot = cuda.local.array(count, types.int32)
        counts = cuda.local.array(count, types.int32)
        counted, first = cuda.shared.array(0, types.int32), first_count(row)
        load_slots(row.space.bin_slots, 0, slot)
        for k in range(count):
            store_slot(row.scratch, slot[k], phi[k])
        group.sync()
        sums = cuda.local.array(count, types.float64)
        own, nonzero, total = stride * group.rank(), types.int32(0), 0.0
        for k in range(count):
            difference = load_slot(row.scratch, own + k)
            if difference != 0.0:
                nonzero += types.int32(1)
            total += difference
            sums[k], counts[k] = total, nonzero
        before, count_before, balance = group.scan_counted(total, nonzero)
        for k in range(count):
            store_slot(row.scratch, own + k, before + sums[k])
            counted[first + types.uint32(own + k)] = count_before + counts[k]
        if group.rank() == 0:
            store_slot(row.scratch, zero, 0.0)
            counted[first + types.uint32(zero)] = 0
        group.sync()
        return balance

    @device
    def flow_between(row, first, before, last):
        """The sum of differences after one slot up to another."""
        counted = cuda.shared.array(0, types.int32)
        if counted[first + types.uint32(last)] == counted[first + types.uint32(before)]:
            return 0.0
        return load_slot(row.scratch, last) - load_slot(row.scratch, before)

    def inner_edges(keep_slopes):
        """The function that returns the costs of a thread's inner edges and their part of the sum of potentials.

        Under `keep_slopes` it stores the slopes where the edges open and close.
        """

        @device
        def costs_of(row, costs, potentials):
            first = first_count(row)
            for e in range(group.rank(), row.space.inner_count, size):
                before, last, opening, closing = intrinsics.load_four(row.space.inner_edges + 16 * e, types.int32)
                flow = flow_between(row, first, before, last)
                length = intrinsics.load(row.space.inner_lengths + 8 * e, types.float64)
                costs = intrinsics.plus(costs, cost(flow, length, row.rho))
                if keep_slopes:
                    step = slope(flow, length, row.rho)
                    store_slot(row.scratch, opening, step)
                    store_slot(row.scratch, closing, -step)
                    bins_below = intrinsics.load(row.space.bins_below + 4 * e, types.int32)
                    potentials = intrinsics.plus(potentials, step * bins_below)
            return costs, potentials

        return costs_of

    inner_costs, inner_slopes = inner_edges(False), inner_edges(True)

    @device
    def inner_potentials(row):
        """Replace the slopes of inner edges by their prefix sums."""
        end, height = 2 * row.space.inner_count, 0.0
        sums = cuda.local.array(count, types.float64)
        for first in range(0, end, tile):
            j = first + count * group.rank()
            own, total = zero + 1 + j + j // count, 0.0
            for k in range(count):
                if j + k < end:
                    total += load_slot(row.scratch, own + k)
                sums[k] = total
            before, tile_sum = group.scan(total)
            before += height
            for k in range(count):
                store_slot(row.scratch, own + k, before + sums[k])
            height += tile_sum
        group.sync()

    @device
    def value(row, phi):
        length = cuda.local.array(count, types.float64)
        mass = loader.load_tile(row.inputs, count * group.rank(), row.n, phi)
        balance = prefix_sums(row, phi)
        load_lengths(row.space.lengths, 0, length)
        costs = 0.0
        for k in range(count):
            costs = intrinsics.plus(costs, cost(phi[k], length[k], row.rho))
        costs, _ = inner_costs(row, costs, 0.0)
        costs, mass, _, _ = group.sum_four(costs, mass, 0.0, 0.0)
        return costs, (balance, mass), 0.0

    @device
    def potential(row, phi):
        length = cuda.local.array(count, types.float64)
        parent = cuda.local.array(count, types.int32)
        mass = loader.load_tile(row.inputs, count * group.rank(), row.n, phi)
        balance = prefix_sums(row, phi)
        load_lengths(row.space.lengths, 0, length)
        costs = potentials = 0.0
        for k in range(count):
            costs = intrinsics.plus(costs, cost(phi[k], length[k], row.rho))
            phi[k] = slope(phi[k], length[k], row.rho)
            potentials = intrinsics.plus(potentials, phi[k])
        costs, potentials = inner_slopes(row, costs, potentials)
        costs, mass, potentials, _ = group.sum_four(costs, mass, potentials, 0.0)
        group.sync()
        inner_potentials(row)
        load_slots(row.space.parent_slots, 0, parent)
        for k in range(count):
            phi[k] = intrinsics.plus(phi[k], load_slot(row.scratch, parent[k]))
        return costs, (balance, mass), 0.0, potentials / row.n, 0.0

    def potentials_to(consumer):
        summed = consumer.summed

        @device
        def visit(row, state, output, phi):
            result = consumer.consume_tile(row, output, count * group.rank(), phi)
            return group.sum(result) if summed else 0.0

        return visit

    def flows_to(consumer):
        @device
        def visit(row, state, output, phi):
            first = first_count(row)
            for e in range(group.rank(), row.space.edge_count, size):
                before, last, below, _ = intrinsics.load_four(row.space.edges + 16 * e, types.int32)
                flow = flow_between(row, first, before, last)
                if below >= 0:
                    flow, _ = loader.load_one(row.inputs, types.int64(below), row.n)
                consumer.consume_one(row, output, e, flow)

        return visit

    return Sweeps(value=value, potential=potential, potentials_to=potentials_to, flows_to=flows_to)
