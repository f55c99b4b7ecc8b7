"""The chain: flows are prefix sums of the differences.

The flow over edge e is the sum of a - b up to bin e. An edge of length 0 follows the last bin, whose flow is the
difference of the masses. The root is the last bin.
"""

from typing import NamedTuple

import numpy as np

from ...formulas.edge import slope
from ..primitives.intrinsics import device
from .path import interleaved, path_functions
from .sweeps import Sweeps, TileSweeps

COLUMNS = 16


class Layout(NamedTuple):
    """The address of the lengths of the edges, interleaved."""

    lengths: int


def columns(arrays, n):
    """Return how many columns a row has."""
    return n


def slots(arrays, n, group):
    """Return how many slots of scratch a row needs."""
    return 0


def prepare(arrays, n, group):
    """Return the arrays of the `Layout`, and the numbers that follow them in it."""
    length = np.zeros(n)
    length[: n - 1] = arrays.length
    return (interleaved(length, group, 0.0),), ()


def functions(loader, group):
    """The function that stores the flows of a tile in phi, and the `PathFunctions` of it."""
    count = group.columns

    @device
    def slope_of(row, state, phi, length):
        return slope(phi, length, row.rho)

    @device
    def flows(row, state, first, carry, phi):
        mass = loader.load_tile(row.inputs, first + count * group.rank(), row.n, phi)
        for k in range(1, count):
            phi[k] += phi[k - 1]
        before, total = group.scan(phi[count - 1])
        before += carry
        for k in range(count):
            phi[k] += before
        return carry + total, mass

    return flows, path_functions(group, flows, slope_of)


def sweeps(loader, group, scratch):
    """The `Sweeps` of a chain."""
    tile = group.tile
    flows, path = functions(loader, group)

    @device
    def value(row, phi):
        total = balance = mass = 0.0
        for first in range(0, row.n, tile):
            balance, tile_mass = flows(row, 0.0, first, balance, phi)
            costs, _, _ = path.sums(row, 0.0, first, phi)
            total += group.sum(costs)
            mass += group.sum(tile_mass)
        return total, (balance, mass), 0.0

    @device
    def potential(row, phi):
        total = balance = mass = slope_sum = potential_sum = 0.0
        for first in range(0, row.n, tile):
            balance, tile_mass = flows(row, 0.0, first, balance, phi)
            costs, slopes, potentials = path.sums(row, 0.0, first, phi)
            costs, tile_mass, slopes, potentials = group.sum_four(costs, tile_mass, slopes, potentials)
            total, mass = total + costs, mass + tile_mass
            slope_sum, potential_sum = slope_sum + slopes, potential_sum + potentials
        if row.n <= tile:
            path.to_potentials(row, 0.0, 0, 0.0, phi)
        return total, (balance, mass), 0.0, potential_sum / row.n, slope_sum

    return Sweeps(value=value, potential=potential, potentials_to=path.potentials_to, flows_to=path.flows_to)


def tile_sweeps(loader, group, scratch):
    """The `TileSweeps` of a chain."""
    flows, path = functions(loader, group)

    @device
    def aggregate(row, first, phi):
        balance, mass = flows(row, 0.0, first, 0.0, phi)
        return balance, mass, -1.0

    @device
    def value(row, first, carry, phi):
        flows(row, 0.0, first, carry.balance, phi)
        return path.sums(row, 0.0, first, phi)[0]

    @device
    def potential(row, first, carry, phi):
        flows(row, 0.0, first, carry.balance, phi)
        costs, slopes, potentials = path.sums(row, 0.0, first, phi)
        return costs, slopes, potentials, path.to_potentials(row, 0.0, first, 0.0, phi)

    def potentials_to(consumer):
        visit_tile = path.tile_potentials_to(consumer)

        @device
        def visit(row, output, first, carry, phi):
            return visit_tile(row, 0.0, output, first, carry.balance, carry.slope_sum, phi)[0]

        return visit

    def flows_to(consumer):
        visit_tile = path.tile_flows_to(consumer)

        @device
        def visit(row, output, first, carry, phi):
            visit_tile(row, 0.0, output, first, carry.balance, phi)

        return visit

    return TileSweeps(
        aggregate=aggregate,
        store_openings=None,
        value=value,
        potential=potential,
        slope_sum=None,
        potentials_to=potentials_to,
        flows_to=flows_to,
    )
