"""What a room is: the sweeps of one kind of space, made for a source of differences and a team of threads.

Every sweep works on one row, by all threads of its team, and is handed

    row     the `Row`: where its differences come from, the space, n, rho, and where its scratch begins
    phi     a number for each of a thread's columns; between the sweeps of a row they hold what a row of one tile keeps

`value` and `potential` return `total, (balance, mass)`: the value; the mass of a less that of b, and the mass met by
the source (see `fastemd.cuda.exact.differences`). Both also return a `state` that the sweeps after them are handed;
`potential` returns besides the mean potential of the bins, and how far the slopes lower the root.

A row that many blocks share is not swept, but taken through `Stages`: in each, a block does to one tile what a sweep
does to it, with the carries that earlier tiles come to; see `fastemd.cuda.exact.multiblock`.
"""

from typing import Any, NamedTuple

from ..primitives.intrinsics import Parts


class Row(NamedTuple):
    """What the threads of a team know of their row."""

    source: Any
    space: Any
    n: Any
    rho: Any
    slot: Any


class Room(Parts):
    """The sweeps of a kind of space.

    value(row, phi)         total, (balance, mass), state
    potential(row, phi)     total, (balance, mass), state, mean, drop
    visiting(consume)       visit(row, state, o, phi): hands the potential of every bin to `consume`, after `potential`
    listing(emit)           list(row, state, o, phi): hands the flow of every edge to `emit`, after `value`

    `consume` and `emit` are pairs of functions: `own(row, o, j, x)` of a thread's columns, from j on, and `one(row, o,
    j, x)` of one. `visit` returns what the consumer's answers add up to over the team, tile by tile.
    """

    value: Any
    potential: Any
    visiting: Any
    listing: Any


class Carry(NamedTuple):
    """What the tiles before one come to.

    balance : the sum of differences
    latest : the last token with a difference (of a tree)
    drop : the sum of slopes (on a tree, of the edges that are still open)
    """

    balance: Any
    latest: Any
    drop: Any


class Stages(Parts):
    """What a kind of space does to one tile of a row. The tile begins at `first`; None: there is nothing to do.

    measure(row, first, phi)            what the tile adds to `balance`; the mass met; its own `latest`
    opening(row, first, carry, phi)     leaves in scratch what `value` and `potential` will ask for
    value(row, first, carry, phi)       the costs of flows
    potential(row, first, carry, phi)   the costs; the slopes up to the root; the potentials; what goes to `drop`
    lifting(row, first, phi)            what goes to `drop`, where that is known after all of `potential` only
    visiting(consume)                   visit(row, o, first, carry, phi), as in `Room`
    listing(emit)                       list(row, o, first, carry, phi), as in `Room`

    What goes to `balance`, `latest` or `drop` is the team's; costs, masses, slopes, potentials and what `visit`
    returns are each thread's own.
    """

    measure: Any
    opening: Any
    value: Any
    potential: Any
    lifting: Any
    visiting: Any
    listing: Any


class Taker(Parts):
    """What takes results, a thread's own or one; and whether what it returns is to be added up."""

    own: Any
    one: Any
    summed: bool
