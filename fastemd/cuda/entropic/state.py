"""What the kernels of Sinkhorn's iteration know of their rows: vectors for each side, and a table of numbers.

All are float64, row after row; potentials are kept as they are, divided by reg. A row of the table has an entry for
each of the `LINES`.
"""

from typing import Any, NamedTuple

from ..primitives.intrinsics import device
from ..primitives.memory import DOUBLE

# Of the iteration: over-relaxation, 0 where a row has converged; marginal error; mass of the plan over that of a;
# iterations of this stage, and of those before.
OMEGA, ERROR, CARRIED, COUNT, EARLIER = 0, 1, 2, 3, 4
BEGIN, WINDOW, BEFORE, SPEED, LIMIT, MOST = 5, 6, 7, 8, 9, 10  # of its pace, see fastemd.formulas.over_relaxation
TOP = 11  # the largest logarithm of a weight
GOOD, MASS_A, MASS_B, LEAD = 12, 13, 14, 15  # 1 or 0; masses; half of ln(mass of b / mass of a), if these may differ
LINES = 16


class Side(NamedTuple):
    """One of the two histograms: how many bins, and addresses.

    `mass` adds up to 1, `log_mass` is its logarithm, `pot` the potential over reg. Entry j, i of `kernel`, a matrix
    whose rows are those bins of the other side, belongs to bin i here; 0 where a space has no matrix.
    """

    bins: Any
    mass: Any
    log_mass: Any
    pot: Any
    kernel: Any


class Law(NamedTuple):
    """What all rows have in common: `damp` is reg / unbalanced, 0 without; `least` the least cost over reg."""

    reg: Any
    least: Any
    tol: Any
    damp: Any
    most: Any


class Price(NamedTuple):
    """What answers follow from besides a `Law`: the least cost; `unbalanced`, 0 without; 1 if rows were divided."""

    least: Any
    unbalanced: Any
    normalized: Any


class Room(NamedTuple):
    """Addresses: the table of so many rows; a vector of sums and one of weights, each of `width` for a row; scratch.

    A row has `slots` of scratch, for either side.
    """

    rows: Any
    table: Any
    sums: Any
    weights: Any
    width: Any
    scratch: Any
    slots: Any


@device
def told(room, line, row):
    """An entry of the table."""
    return DOUBLE.read(room.table + 8 * (LINES * row + line))


@device
def note(room, line, row, x):
    """Write an entry of the table, which one thread does."""
    DOUBLE.write(room.table + 8 * (LINES * row + line), x)


@device
def at(vectors, row, bins):
    """The address of a row's vector."""
    return vectors + 8 * row * bins
