"""The tree whose prefix sums do not fit in shared memory: prefix sums along its Euler tour, a row of tokens.

The tour goes depth first around the contracted tree. It meets every bin once and every edge above an inner node twice:
it *opens* the edge on the way down and *closes* it on the way back. So a tree of any shape and depth is a path, and
needs only prefix sums, in tiles, as a chain does:

- The flow over an edge is the sum of the differences between its two tokens: the prefix sum where it closes less that
  where it opened. Without a difference between them the flow is exactly 0, which rounding in the two prefix sums would
  hide; so the sweep follows the last token with a difference.
- The potential of a bin is the sum of the slopes of the edges that are open there: the slope of an edge is added where
  it opens, and subtracted where it closes.

Each inner edge has a slot of scratch. It holds the prefix sum from opening to closing, and the slope (or the flow) from
then on. Tokens without a meaning fill the last tile.
"""

from typing import Any

from ...formulas.edge import cost, slope
from ..primitives import intrinsics
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types
from .euler_tour import BIN, CLOSE, KIND, OPEN, Layout, columns, number_of, prepare, slots
from .path import interleaved_load
from .sweeps import Sweeps, TileSweeps

__all__ = ["Layout", "columns", "prepare", "slots", "sweeps", "tile_sweeps"]

COLUMNS = 8


class TileFunctions(DeviceFunctions):
    """What a thread group does to the tile of tokens that begins at `first`.

    load(row, first, token, length, nonzero, phi)
        Load tokens and lengths, store prefix sums of the differences in phi, and in `nonzero` the last token with a
        difference. Return the mass, and the costs and slopes of the edges above bins.
    store_openings(row, token, before, phi)
        Store in scratch the prefix sums where edges open; `before` is the sum before the thread's tokens.
    closing(keep_slopes)
        close(row, first, token, length, nonzero, before, earlier, costs, potentials, phi): compute the flows of the
        edges that close, and store these or their slopes in scratch. Return the costs, and the sum of potentials, with
        those of the edges added. `earlier` is the last token with a difference before the thread's.
    to_potentials(row, first, token, phi)
        Store potentials in phi, relative to the first of the thread's tokens; return that after the last.
    potentials_to(consumer)
        visit(row, output, first, height, phi): the consumer's results, and the height at which the next tile begins.
    flows_to(consumer)
        visit(row, output, first, phi).
    """

    load: Any
    store_openings: Any
    closing: Any
    to_potentials: Any
    potentials_to: Any
    flows_to: Any


def tile_functions(loader, group, scratch):
    """The `TileFunctions` of a loader, a thread group and its scratch."""
    load_slot, store_slot, count = scratch.load, scratch.store, group.columns
    load_lengths, load_tokens = interleaved_load(group, types.float64), interleaved_load(group, types.int32)

    @device
    def load(row, first, token, length, nonzero, phi):
        load_tokens(row.space.tokens, first, token)
        load_lengths(row.space.lengths, first, length)
        mass = costs = slopes = prefix = 0.0
        last_nonzero = -1.0
        for k in range(count):
            if token[k] & KIND == BIN:
                difference, bin_mass = loader.load_one(row.inputs, number_of(token[k]), row.n)
                mass = intrinsics.plus(mass, bin_mass)
                costs = intrinsics.plus(costs, cost(difference, length[k], row.rho))
                slopes = intrinsics.plus(slopes, slope(difference, length[k], row.rho))
                prefix += difference
                if difference != 0.0:
                    last_nonzero = float(first + count * group.rank() + k)
            phi[k] = prefix
            nonzero[k] = last_nonzero
        return mass, costs, slopes

    @device
    def store_openings(row, token, before, phi):
        for k in range(count):
            if token[k] & KIND == OPEN:
                store_slot(row.scratch, number_of(token[k]), before + phi[k])

    def closing(keep_slopes):
        @device
        def close(row, first, token, length, nonzero, before, earlier, costs, potentials, phi):
            bins_below = cuda.local.array(count, types.int32)
            opened_at = cuda.local.array(count, types.int32)
            load_tokens(row.space.opened_at, first, opened_at)
            if keep_slopes:
                load_tokens(row.space.bins_below, first, bins_below)
            for k in range(count):
                if token[k] & KIND == CLOSE:
                    edge = number_of(token[k])
                    flow = 0.0
                    if max(earlier, nonzero[k]) > opened_at[k]:
                        flow = before + phi[k] - load_slot(row.scratch, edge)
                    costs = intrinsics.plus(costs, cost(flow, length[k], row.rho))
                    if keep_slopes:
                        flow = slope(flow, length[k], row.rho)
                        potentials = intrinsics.plus(potentials, flow * bins_below[k])
                    store_slot(row.scratch, edge, flow)
            return costs, potentials

        return close

    @device
    def to_potentials(row, first, token, phi):
        length = cuda.local.array(count, types.float64)
        load_tokens(row.space.tokens, first, token)
        load_lengths(row.space.lengths, first, length)
        height = 0.0
        for k in range(count):
            kind, number = token[k] & KIND, number_of(token[k])
            phi[k] = height
            if kind == OPEN:
                height += load_slot(row.scratch, number)
            elif kind == CLOSE:
                height -= load_slot(row.scratch, number)
            elif kind == BIN:
                difference, _ = loader.load_one(row.inputs, number, row.n)
                phi[k] = intrinsics.plus(height, slope(difference, length[k], row.rho))
        return height

    def potentials_to(consumer):
        @device
        def visit(row, output, first, height, phi):
            token = cuda.local.array(count, types.int32)
            before, total = group.scan(to_potentials(row, first, token, phi))
            before += height
            result = 0.0
            for k in range(count):
                if token[k] & KIND == BIN:
                    consumed = consumer.consume_one(row, output, number_of(token[k]), before + phi[k])
                    result = intrinsics.plus(result, consumed)
            return result, height + total

        return visit

    def flows_to(consumer):
        @device
        def visit(row, output, first, phi):
            token = cuda.local.array(count, types.int32)
            load_tokens(row.space.edge_tokens, first, token)
            for k in range(count):
                kind, number = token[k] & KIND, number_of(token[k])
                flow = 0.0
                if kind == BIN:
                    flow, _ = loader.load_one(row.inputs, number, row.n)
                elif kind == OPEN:
                    flow = load_slot(row.scratch, number)
                consumer.consume_one(row, output, first + count * group.rank() + k, flow)

        return visit

    return TileFunctions(
        load=load,
        store_openings=store_openings,
        closing=closing,
        to_potentials=to_potentials,
        potentials_to=potentials_to,
        flows_to=flows_to,
    )


def sweeps(loader, group, scratch):
    """The `Sweeps` of a tree."""
    count, tile, on_tile = group.columns, group.tile, tile_functions(loader, group, scratch)

    def flow_sweep(keep_slopes):
        """The sweep that computes the flows of inner edges, and stores these or their slopes in scratch."""
        close = on_tile.closing(keep_slopes)

        @device
        def sweep(row, phi):
            token = cuda.local.array(count, types.int32)
            length = cuda.local.array(count, types.float64)
            nonzero = cuda.local.array(count, types.float64)
            total = balance = mass = potential_sum = 0.0
            last_nonzero = -1.0
            for first in range(0, row.space.token_count, tile):
                tile_mass, costs, potentials = on_tile.load(row, first, token, length, nonzero, phi)
                before, tile_balance = group.scan(phi[count - 1])
                before += balance
                earlier, tile_nonzero = group.scan_max(nonzero[count - 1])
                earlier = max(earlier, last_nonzero)
                on_tile.store_openings(row, token, before, phi)
                group.sync()
                costs, potentials = close(row, first, token, length, nonzero, before, earlier, costs, potentials, phi)
                balance += tile_balance
                last_nonzero = max(last_nonzero, tile_nonzero)
                costs, tile_mass, potentials, _ = group.sum_four(costs, tile_mass, potentials, 0.0)
                total, mass, potential_sum = total + costs, mass + tile_mass, potential_sum + potentials
            group.sync()
            return total, (balance, mass), potential_sum

        return sweep

    flows, slopes = flow_sweep(False), flow_sweep(True)

    @device
    def value(row, phi):
        total, masses, _ = flows(row, phi)
        return total, masses, 0.0

    @device
    def potential(row, phi):
        total, masses, potential_sum = slopes(row, phi)
        return total, masses, 0.0, potential_sum / row.n, 0.0

    def potentials_to(consumer):
        visit_tile, summed = on_tile.potentials_to(consumer), consumer.summed

        @device
        def visit(row, state, output, phi):
            height = total = 0.0
            for first in range(0, row.space.token_count, tile):
                result, height = visit_tile(row, output, first, height, phi)
                if summed:
                    total += group.sum(result)
            return total

        return visit

    def flows_to(consumer):
        visit_tile = on_tile.flows_to(consumer)

        @device
        def visit(row, state, output, phi):
            for first in range(0, row.space.edge_count, tile):
                visit_tile(row, output, first, phi)

        return visit

    return Sweeps(value=value, potential=potential, potentials_to=potentials_to, flows_to=flows_to)


def tile_sweeps(loader, group, scratch):
    """The `TileSweeps` of a tree."""
    count, on_tile = group.columns, tile_functions(loader, group, scratch)

    @device
    def aggregate(row, first, phi):
        token = cuda.local.array(count, types.int32)
        length = cuda.local.array(count, types.float64)
        nonzero = cuda.local.array(count, types.float64)
        mass, _, _ = on_tile.load(row, first, token, length, nonzero, phi)
        _, balance = group.scan(phi[count - 1])
        _, last_nonzero = group.scan_max(nonzero[count - 1])
        return balance, mass, last_nonzero

    @device
    def store_openings(row, first, carry, phi):
        token = cuda.local.array(count, types.int32)
        length = cuda.local.array(count, types.float64)
        nonzero = cuda.local.array(count, types.float64)
        on_tile.load(row, first, token, length, nonzero, phi)
        before, _ = group.scan(phi[count - 1])
        on_tile.store_openings(row, token, before + carry.balance, phi)

    def flow_sweep(keep_slopes):
        close = on_tile.closing(keep_slopes)

        @device
        def sweep(row, first, carry, phi):
            token = cuda.local.array(count, types.int32)
            length = cuda.local.array(count, types.float64)
            nonzero = cuda.local.array(count, types.float64)
            _, costs, potentials = on_tile.load(row, first, token, length, nonzero, phi)
            before, _ = group.scan(phi[count - 1])
            before += carry.balance
            earlier, _ = group.scan_max(nonzero[count - 1])
            earlier = max(earlier, carry.last_nonzero)
            return close(row, first, token, length, nonzero, before, earlier, costs, potentials, phi)

        return sweep

    flows, slopes = flow_sweep(False), flow_sweep(True)

    @device
    def value(row, first, carry, phi):
        return flows(row, first, carry, phi)[0]

    @device
    def potential(row, first, carry, phi):
        costs, potentials = slopes(row, first, carry, phi)
        return costs, 0.0, potentials, 0.0

    @device
    def slope_sum(row, first, phi):
        token = cuda.local.array(count, types.int32)
        return group.scan(on_tile.to_potentials(row, first, token, phi))[1]

    def potentials_to(consumer):
        visit_tile = on_tile.potentials_to(consumer)

        @device
        def visit(row, output, first, carry, phi):
            return visit_tile(row, output, first, carry.slope_sum, phi)[0]

        return visit

    def flows_to(consumer):
        visit_tile = on_tile.flows_to(consumer)

        @device
        def visit(row, output, first, carry, phi):
            visit_tile(row, output, first, phi)

        return visit

    return TileSweeps(
        aggregate=aggregate,
        store_openings=store_openings,
        value=value,
        potential=potential,
        slope_sum=slope_sum,
        potentials_to=potentials_to,
        flows_to=flows_to,
    )
