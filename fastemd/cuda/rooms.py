"""What a room is: the sweeps of one kind of space, made for a source of differences and a team of threads.

Every sweep works on one row, by all threads of its team, and is handed

    row     the `Row`: where its differences come from, the space, n, rho, and where its scratch begins
    phi     four numbers of the thread's own; between the sweeps of a row they hold what a row of one tile keeps

`value` and `potential` return `total, (balance, mass)`: the value; the mass of a less that of b, and the mass met by
the source (see `fastemd.cuda.sources`). Both also return a `state` that the sweeps after them are handed;
`potential` returns besides the mean potential of the bins and the potential of the root.
"""

from typing import Any, NamedTuple

from .target import Parts


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
    potential(row, phi)     total, (balance, mass), state, mean, root
    visiting(consume)       visit(row, state, o, phi): hands the potential of every bin to `consume`, after `potential`
    listing(emit)           list(row, state, o, phi): hands the flow of every edge to `emit`, after `value`

    `consume` and `emit` are pairs of functions: `four(row, o, j, x)` of four neighbouring columns and `one(row, o, j,
    x)` of one. `visit` returns what the consumer's answers add up to.
    """

    value: Any
    potential: Any
    visiting: Any
    listing: Any


class Taker(Parts):
    """What takes results, four at a time or one."""

    four: Any
    one: Any
