"""The sweeps of chains and rings: from the flows over the edges of a path of bins to costs and potentials.

A row is worked in tiles, of which each thread has some adjacent columns. Sums over the columns before a thread's come
from the group's `scan`, sums over earlier tiles from a carry. A row of one tile stays in registers from its load until
its gradient is stored; a longer row is loaded again in each sweep.

Potentials are relative to the first bin: f of bin i is minus the sum of the slopes of the edges before it.
"""

from typing import Any

import numpy as np

from ...formulas.edge import cost
from ..primitives import intrinsics
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types


def interleaved(vector, group, padding):
    """Return a vector in the order in which a thread group loads it, so that adjacent threads load adjacent addresses.

    Of each tile, the first columns of all threads come first, then the second ones.
    """
    tiles = -(-len(vector) // group.tile)
    padded = np.full(tiles * group.tile, padding, vector.dtype)
    padded[: len(vector)] = vector
    return np.ascontiguousarray(padded.reshape(tiles, group.size, group.columns).swapaxes(1, 2)).reshape(-1)


def interleaved_load(group, dtype):
    """The function that stores in `out` a thread's columns of an interleaved array, in the tile from `first` on."""
    size, count, word = group.size, group.columns, dtype.bitwidth // 8

    @device
    def load_columns(array, first, out):
        address = array + word * (first + group.rank())
        for k in range(count):
            out[k] = intrinsics.load(address + word * k * size, dtype)

    return load_columns


class PathFunctions(DeviceFunctions):
    """The functions of a path: of a row as in `Sweeps`, and of the tile that begins at column `first`.

    to_potentials(row, state, first, slope_sum, phi)
        Turn the flows of a tile into potentials; return `slope_sum`, the sum of slopes, for the next tile.
    sums(row, state, first, phi)
        The sums of costs, of slopes and of potentials of a thread's flows: an edge lowers each bin behind it by its
        slope.
    tile_potentials_to(consumer)
        visit(row, state, output, first, carry, slope_sum, phi): the consumer's result, and both carries.
    tile_flows_to(consumer)
        visit(row, state, output, first, carry, phi): the carry.
    """

    to_potentials: Any
    sums: Any
    tile_potentials_to: Any
    tile_flows_to: Any
    potentials_to: Any
    flows_to: Any


def path_functions(group, flows, slope_of):
    """The `PathFunctions` of a thread group.

    ``flows(row, state, first, carry, phi)`` stores the flows of a tile in phi, and returns the carry for the next tile
    and the mass of the loader. ``slope_of(row, state, phi, length)`` is the slope of an edge.
    """
    count, tile, load_lengths = group.columns, group.tile, interleaved_load(group, types.float64)

    @device
    def to_potentials(row, state, first, slope_sum, phi):
        length = cuda.local.array(count, types.float64)
        load_lengths(row.space.lengths, first, length)
        own_sum = 0.0
        for k in range(count):
            step = slope_of(row, state, phi[k], length[k])
            phi[k] = own_sum
            own_sum = intrinsics.plus(own_sum, step)
        before, total = group.scan(own_sum)
        before += slope_sum
        for k in range(count):
            phi[k] = -(before + phi[k])
        return slope_sum + total

    @device
    def sums(row, state, first, phi):
        length = cuda.local.array(count, types.float64)
        load_lengths(row.space.lengths, first, length)
        bins_behind = types.float64(row.n - 1 - first - count * group.rank())
        costs = slopes = potentials = 0.0
        for k in range(count):
            step = slope_of(row, state, phi[k], length[k])
            costs = intrinsics.plus(costs, cost(phi[k], length[k], row.rho))
            slopes = intrinsics.plus(slopes, step)
            potentials = intrinsics.plus(potentials, -step * (bins_behind - k))
        return costs, slopes, potentials

    def tile_potentials_to(consumer):
        """Of a row of one tile, phi holds the potentials already."""

        @device
        def visit(row, state, output, first, carry, slope_sum, phi):
            if row.n > tile:
                carry, _ = flows(row, state, first, carry, phi)
                slope_sum = to_potentials(row, state, first, slope_sum, phi)
            result = consumer.consume_tile(row, output, first + count * group.rank(), phi)
            return result, carry, slope_sum

        return visit

    def potentials_to(consumer):
        """See `Sweeps`."""
        visit_tile, summed = tile_potentials_to(consumer), consumer.summed

        @device
        def visit(row, state, output, phi):
            carry = slope_sum = total = 0.0
            for first in range(0, row.n, tile):
                result, carry, slope_sum = visit_tile(row, state, output, first, carry, slope_sum, phi)
                if summed:
                    total += group.sum(result)
            return total

        return visit

    def tile_flows_to(consumer):
        """Of a row of one tile, phi holds the flows already."""

        @device
        def visit(row, state, output, first, carry, phi):
            if row.n > tile:
                carry, _ = flows(row, state, first, carry, phi)
            consumer.consume_tile(row, output, first + count * group.rank(), phi)
            return carry

        return visit

    def flows_to(consumer):
        """See `Sweeps`."""
        visit_tile = tile_flows_to(consumer)

        @device
        def visit(row, state, output, phi):
            carry = 0.0
            for first in range(0, row.n, tile):
                carry = visit_tile(row, state, output, first, carry, phi)

        return visit

    return PathFunctions(
        to_potentials=to_potentials,
        sums=sums,
        tile_potentials_to=tile_potentials_to,
        tile_flows_to=tile_flows_to,
        potentials_to=potentials_to,
        flows_to=flows_to,
    )
