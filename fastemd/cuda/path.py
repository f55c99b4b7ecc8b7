"""What chains and rings have in common: the potential along a path of bins, from the flows over its edges.

A row is worked in tiles. Of each tile a thread holds four neighbouring columns; what the columns before them add up to
it learns from its team (`scan`), and what earlier tiles add up to is carried along. A row of one tile stays in
registers from the moment it is read until its gradient is written; a longer one is read again.

Potentials are relative to the first bin: f of bin i is minus the sum of the slopes of the edges before it.
"""

from typing import Any

from ..laws import cost
from .numbers import format_of
from .target import FOUR, Parts, cuda, device, types

LENGTHS = format_of("float64")


def stepping(team):
    """The function that returns the first of a thread's four columns in the tile that begins at `first`."""

    @device
    def own(first):
        return first + FOUR * (cuda.threadIdx.x % team.size)

    return own


@device
def lengths_of(lengths, e, n, length):
    """Fill `length` with the lengths of edges e..e+3; the array of lengths is padded to whole fours."""
    length[0] = length[1] = length[2] = length[3] = 0.0
    if e < n:
        length[0], length[1], length[2], length[3] = LENGTHS.read_four(lengths + 8 * e)


@device
def costs(phi, length, rho):
    """What four flows cost."""
    total = 0.0
    for k in range(FOUR):
        total += cost(phi[k], length[k], rho)
    return total


class Path(Parts):
    """The sweeps along a path: `visiting` and `listing` as a `Room` has them, and two more.

    turn(row, state, first, drop, phi)
        Makes potentials of a tile's flows; `drop`, what the slopes of earlier tiles add up to, is carried on.
    moment(row, state, phi, length, e)
        What four slopes add up to, and the potentials they make: an edge lowers each bin behind it.
    """

    turn: Any
    moment: Any
    visiting: Any
    listing: Any


def path(team, flows, slope_of):
    """The `Path` of a team.

    ``flows(row, state, first, carry, phi)`` puts a tile's flows into phi; it returns the carry for the next tile and
    the mass met. ``slope_of(row, state, phi, length)`` is the slope of an edge.
    """
    own, tile = stepping(team), FOUR * team.size

    @device
    def turn(row, state, first, drop, phi):
        length = cuda.local.array(FOUR, types.float64)
        lengths_of(row.space.lengths, own(first), row.n, length)
        upto = 0.0
        for k in range(FOUR):
            step = slope_of(row, state, phi[k], length[k])
            phi[k] = upto
            upto += step
        before, whole = team.scan(upto)
        for k in range(FOUR):
            phi[k] = -(drop + before + phi[k])
        return drop + whole

    @device
    def moment(row, state, phi, length, e):
        drop = lowered = 0.0
        for k in range(FOUR):
            if e + k < row.n:
                step = slope_of(row, state, phi[k], length[k])
                drop += step
                lowered -= step * (row.n - 1 - e - k)
        return drop, lowered

    def visiting(consume):
        """See `Room`. Where a row is one tile, phi holds its potentials already."""

        @device
        def visit(row, state, o, phi):
            carry = drop = found = 0.0
            for first in range(0, row.n, tile):
                if row.n > tile:
                    carry, _ = flows(row, state, first, carry, phi)
                    drop = turn(row, state, first, drop, phi)
                found += consume.four(row, o, own(first), phi)
            return found

        return visit

    def listing(emit):
        """See `Room`. Where a row is one tile, phi holds its flows already."""

        @device
        def edges(row, state, o, phi):
            carry = 0.0
            for first in range(0, row.n, tile):
                if row.n > tile:
                    carry, _ = flows(row, state, first, carry, phi)
                emit.four(row, o, own(first), phi)

        return edges

    return Path(turn=turn, moment=moment, visiting=visiting, listing=listing)
