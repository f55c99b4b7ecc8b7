"""The chain: flows are prefix sums of the differences.

The flow over edge e is the sum of a - b through bin e. What stands behind the last bin is an edge of length 0, whose
flow is the difference of the masses. The root is the last bin.
"""

from typing import NamedTuple

import numpy as np

from ..laws import slope
from . import path
from .path import costs, lengths_of, stepping
from .rooms import Room
from .target import FOUR, cuda, device, types


class Layout(NamedTuple):
    """The address of the lengths of the edges."""

    lengths: int


def prepare(arrays, n):
    """Return the arrays of the `Layout`, the numbers that follow them in it, the items of a row, and its slots."""
    length = np.zeros(-(-n // FOUR) * FOUR)
    length[: n - 1] = arrays.length
    return (length,), (), n, 0


def room(source, team, scratch):
    """The sweeps of a chain; see `fastemd.cuda.rooms`."""
    tile, own = FOUR * team.size, stepping(team)

    @device
    def slope_of(row, state, phi, length):
        return slope(phi, length, row.rho)

    @device
    def flows(row, state, first, carry, phi):
        mass = source.four(row.source, own(first), row.n, phi)
        for k in range(1, FOUR):
            phi[k] += phi[k - 1]
        before, whole = team.scan(phi[FOUR - 1])
        for k in range(FOUR):
            phi[k] += carry + before
        return carry + whole, mass

    along = path.path(team, flows, slope_of)

    @device
    def value(row, phi):
        length = cuda.local.array(FOUR, types.float64)
        total = balance = mass = 0.0
        for first in range(0, row.n, tile):
            balance, met = flows(row, 0.0, first, balance, phi)
            lengths_of(row.space.lengths, own(first), row.n, length)
            total += team.total(costs(phi, length, row.rho))
            mass += team.total(met)
        return total, (balance, mass), 0.0

    @device
    def potential(row, phi):
        length = cuda.local.array(FOUR, types.float64)
        total = balance = mass = drop = lowered = 0.0
        for first in range(0, row.n, tile):
            balance, met = flows(row, 0.0, first, balance, phi)
            lengths_of(row.space.lengths, own(first), row.n, length)
            steps, potentials = along.moment(row, 0.0, phi, length, own(first))
            total += team.total(costs(phi, length, row.rho))
            mass += team.total(met)
            drop += team.total(steps)
            lowered += team.total(potentials)
        if row.n <= tile:
            along.turn(row, 0.0, 0, 0.0, phi)
        return total, (balance, mass), 0.0, lowered / row.n, -drop

    return Room(value=value, potential=potential, visiting=along.visiting, listing=along.listing)
