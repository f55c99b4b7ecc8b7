"""What chains and rings have in common: the potential along a path of bins, from the flows over its edges.

A row is worked in tiles. Of each tile a thread holds some neighbouring columns; what the columns before them add up to
it learns from its team (`scan`), and what earlier tiles add up to is carried along. A row of one tile stays in
registers from the moment it is read until its gradient is written; a longer one is read again.

Potentials are relative to the first bin: f of bin i is minus the sum of the slopes of the edges before it.
"""

from typing import Any

import numpy as np

from ...formulas.edge import cost
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import Parts, cuda, device, types

LENGTHS = format_of("float64")


def interleaved(vector, team, filler):
    """Lay a vector out as a team reads it: of each tile the first columns of all members, then the second ones.

    So lanes that read side by side read from addresses side by side.
    """
    tiles = -(-len(vector) // team.tile)
    whole = np.full(tiles * team.tile, filler, vector.dtype)
    whole[: len(vector)] = vector
    return np.ascontiguousarray(whole.reshape(tiles, team.size, team.columns).swapaxes(1, 2)).reshape(-1)


def lengths_for(team):
    """The function that fills `length` with the lengths of a thread's edges in the tile that begins at `first`."""
    size, count = team.size, team.columns

    @device
    def lengths_of(lengths, first, length):
        here = lengths + 8 * (first + team.member())
        for k in range(count):
            length[k] = LENGTHS.read(here + 8 * k * size)

    return lengths_of


class Path(Parts):
    """The sweeps along a path: `visiting` and `listing` as a `Room` has them, and what they do to a tile.

    turn(row, state, first, drop, phi)
        Makes potentials of a tile's flows; `drop`, what the slopes of earlier tiles add up to, is carried on.
    tally(row, state, first, phi)
        What a thread's flows cost, what their slopes add up to, and the potentials that these make: an edge lowers each
        bin behind it by its slope.
    passing(consume), noting(emit)
        What `visiting` and `listing` do to a tile, with the carries that come to it; both return those that go on.
    """

    turn: Any
    tally: Any
    passing: Any
    noting: Any
    visiting: Any
    listing: Any


def path(team, flows, slope_of):
    """The `Path` of a team.

    ``flows(row, state, first, carry, phi)`` puts a tile's flows into phi; it returns the carry for the next tile and
    the mass met. ``slope_of(row, state, phi, length)`` is the slope of an edge.
    """
    count, tile, lengths_of = team.columns, team.tile, lengths_for(team)

    @device
    def turn(row, state, first, drop, phi):
        length = cuda.local.array(count, types.float64)
        lengths_of(row.space.lengths, first, length)
        upto = 0.0
        for k in range(count):
            step = slope_of(row, state, phi[k], length[k])
            phi[k] = upto
            upto = intrinsics.plus(upto, step)
        before, whole = team.scan(upto)
        before += drop
        for k in range(count):
            phi[k] = -(before + phi[k])
        return drop + whole

    @device
    def tally(row, state, first, phi):
        length = cuda.local.array(count, types.float64)
        lengths_of(row.space.lengths, first, length)
        behind = types.float64(row.n - 1 - first - count * team.member())
        paid = drop = lowered = 0.0
        for k in range(count):
            step = slope_of(row, state, phi[k], length[k])
            paid = intrinsics.plus(paid, cost(phi[k], length[k], row.rho))
            drop = intrinsics.plus(drop, step)
            lowered = intrinsics.plus(lowered, -step * (behind - k))
        return paid, drop, lowered

    def passing(consume):
        """Where a row is one tile, phi holds its potentials already."""

        @device
        def pass_by(row, state, o, first, carry, drop, phi):
            if row.n > tile:
                carry, _ = flows(row, state, first, carry, phi)
                drop = turn(row, state, first, drop, phi)
            return consume.own(row, o, first + count * team.member(), phi), carry, drop

        return pass_by

    def visiting(consume):
        """See `Room`."""
        pass_by, summed = passing(consume), consume.summed

        @device
        def visit(row, state, o, phi):
            carry = drop = found = 0.0
            for first in range(0, row.n, tile):
                mine, carry, drop = pass_by(row, state, o, first, carry, drop, phi)
                if summed:
                    found += team.total(mine)
            return found

        return visit

    def noting(emit):
        """Where a row is one tile, phi holds its flows already."""

        @device
        def note(row, state, o, first, carry, phi):
            if row.n > tile:
                carry, _ = flows(row, state, first, carry, phi)
            emit.own(row, o, first + count * team.member(), phi)
            return carry

        return note

    def listing(emit):
        """See `Room`."""
        note = noting(emit)

        @device
        def edges(row, state, o, phi):
            carry = 0.0
            for first in range(0, row.n, tile):
                carry = note(row, state, o, first, carry, phi)

        return edges

    return Path(turn=turn, tally=tally, passing=passing, noting=noting, visiting=visiting, listing=listing)
