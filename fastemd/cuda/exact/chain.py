"""The chain: flows are prefix sums of the differences.

The flow over edge e is the sum of a - b through bin e. What stands behind the last bin is an edge of length 0, whose
flow is the difference of the masses. The root is the last bin.
"""

from typing import Any, NamedTuple

import numpy as np

from ...formulas.edge import slope
from ..primitives.intrinsics import Parts, device
from . import path
from .sweeps import Room, Stages

COLUMNS = 16


class Layout(NamedTuple):
    """The address of the lengths of the edges, interleaved."""

    lengths: int


def items(arrays, n):
    """How many columns a team goes through, and how many slots of scratch it needs."""
    return n, 0


def prepare(arrays, n, team):
    """Return the arrays of the `Layout`, and the numbers that follow them in it."""
    length = np.zeros(n)
    length[: n - 1] = arrays.length
    return (path.interleaved(length, team, 0.0),), ()


class Tile(Parts):
    """What is done to a tile of a chain: `flows` as `path` wants them, and the `Path`."""

    flows: Any
    along: Any


def tile_of(source, team):
    """The `Tile` of a source and a team."""
    count = team.columns

    @device
    def slope_of(row, state, phi, length):
        return slope(phi, length, row.rho)

    @device
    def flows(row, state, first, carry, phi):
        mass = source.own(row.source, first + count * team.member(), row.n, phi)
        for k in range(1, count):
            phi[k] += phi[k - 1]
        before, whole = team.scan(phi[count - 1])
        before += carry
        for k in range(count):
            phi[k] += before
        return carry + whole, mass

    return Tile(flows=flows, along=path.path(team, flows, slope_of))


def room(source, team, scratch):
    """The sweeps of a chain; see `fastemd.cuda.exact.sweeps`."""
    tile, on = team.tile, tile_of(source, team)
    along = on.along

    @device
    def value(row, phi):
        total = balance = mass = 0.0
        for first in range(0, row.n, tile):
            balance, met = on.flows(row, 0.0, first, balance, phi)
            paid, _, _ = along.tally(row, 0.0, first, phi)
            total += team.total(paid)
            mass += team.total(met)
        return total, (balance, mass), 0.0

    @device
    def potential(row, phi):
        total = balance = mass = drop = lowered = 0.0
        for first in range(0, row.n, tile):
            balance, met = on.flows(row, 0.0, first, balance, phi)
            paid, steps, potentials = along.tally(row, 0.0, first, phi)
            paid, met, steps, potentials = team.totals(paid, met, steps, potentials)
            total, mass, drop, lowered = total + paid, mass + met, drop + steps, lowered + potentials
        if row.n <= tile:
            along.turn(row, 0.0, 0, 0.0, phi)
        return total, (balance, mass), 0.0, lowered / row.n, drop

    return Room(value=value, potential=potential, visiting=along.visiting, listing=along.listing)


def stages(source, team, scratch):
    """What is done to a chain by many blocks; see `fastemd.cuda.exact.sweeps`."""
    on = tile_of(source, team)
    along = on.along

    @device
    def measure(row, first, phi):
        balance, met = on.flows(row, 0.0, first, 0.0, phi)
        return balance, met, -1.0

    @device
    def value(row, first, carry, phi):
        on.flows(row, 0.0, first, carry.balance, phi)
        return along.tally(row, 0.0, first, phi)[0]

    @device
    def potential(row, first, carry, phi):
        on.flows(row, 0.0, first, carry.balance, phi)
        paid, steps, potentials = along.tally(row, 0.0, first, phi)
        return paid, steps, potentials, along.turn(row, 0.0, first, 0.0, phi)

    def visiting(consume):
        pass_by = along.passing(consume)

        @device
        def visit(row, o, first, carry, phi):
            return pass_by(row, 0.0, o, first, carry.balance, carry.drop, phi)[0]

        return visit

    def listing(emit):
        note = along.noting(emit)

        @device
        def edges(row, o, first, carry, phi):
            note(row, 0.0, o, first, carry.balance, phi)

        return edges

    return Stages(
        measure=measure,
        opening=None,
        value=value,
        potential=potential,
        lifting=None,
        visiting=visiting,
        listing=listing,
    )
