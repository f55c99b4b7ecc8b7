"""The tables of device functions that the modules `chain`, `ring` and `tree` give to the kernels.

Kernels with one thread group to a row use `Sweeps`: the group goes over the tiles of its row, one after the other.
Multi-block kernels use `TileSweeps`: a block does to one tile what a sweep does to it, from the `Carry` of the tiles
before (`fastemd.cuda.exact.multiblock`).

All functions take

    row     the `Row`
    phi     a float64 for each column of a thread; a row of one tile keeps its flows or potentials there between sweeps
"""

from typing import Any, NamedTuple

from ..primitives.intrinsics import DeviceFunctions


class Row(NamedTuple):
    """A row of a problem.

    inputs : arguments of the `Loader`
    space : the `Layout` of the space
    n : bins
    rho : exponent of the flow
    scratch : where the slots of the row begin
    """

    inputs: Any
    space: Any
    n: Any
    rho: Any
    scratch: Any


class Sweeps(DeviceFunctions):
    """The sweeps of a kind of space, for a `Loader`, a `ThreadGroup` and a `Scratch`.

    value(row, phi)             total, (balance, mass), state
    potential(row, phi)         total, (balance, mass), state, mean, root_slopes
    potentials_to(consumer)     visit(row, state, output, phi): call a `Consumer` with each bin's potential
    flows_to(consumer)          visit(row, state, output, phi): call a `Consumer` with each edge's flow

    `total` is the value, `balance` the mass of a less that of b, `mass` that of the `Loader`, `state` an argument of
    the visits. `mean` is the mean potential, and `root_slopes` the sum of the slopes that lower the root. Potentials
    are visited after `potential`, flows after `value`. `visit` returns the sum of the results of a `summed` consumer.
    """

    value: Any
    potential: Any
    potentials_to: Any
    flows_to: Any


class Carry(NamedTuple):
    """Sums and maxima over the tiles before one.

    balance : sum of differences
    last_nonzero : the last token with a difference (of a tree)
    slope_sum : sum of slopes (of a tree, over the edges that are still open)
    """

    balance: Any
    last_nonzero: Any
    slope_sum: Any


class TileSweeps(DeviceFunctions):
    """What a kind of space does to the tile of a row that begins at column `first`; None where there is nothing to do.

    aggregate(row, first, phi)          the tile's part of `balance`, its mass, its `last_nonzero`
    store_openings(row, first, carry, phi)  store in scratch what `value` and `potential` load
    value(row, first, carry, phi)       the cost of the flows
    potential(row, first, carry, phi)   the cost, the root's slopes, the sum of potentials, the part of `slope_sum`
    slope_sum(row, first, phi)          the part of `slope_sum`, where it is known only after `potential` of all tiles
    potentials_to(consumer)             visit(row, output, first, carry, phi), as in `Sweeps`
    flows_to(consumer)                  visit(row, output, first, carry, phi), as in `Sweeps`

    Parts of `balance`, `last_nonzero` and `slope_sum` are those of the thread group; costs, masses, slopes, potentials
    and the results of `visit` are those of a thread.
    """

    aggregate: Any
    store_openings: Any
    value: Any
    potential: Any
    slope_sum: Any
    potentials_to: Any
    flows_to: Any


class Consumer(DeviceFunctions):
    """A consumer of potentials or flows.

    consume_tile(row, output, j, x)     of a thread's columns, from column j on
    consume_one(row, output, j, x)      of one column
    summed                              whether results are summed over the row
    """

    consume_tile: Any
    consume_one: Any
    summed: bool
