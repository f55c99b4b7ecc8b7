"""The ledger of a row that many blocks share: what each tile comes to, what comes before it, and the whole.

It has a line for each of the `QUANTITIES`: a float64 for each tile, and one for the whole behind them. A block notes
what its tile comes to. `combine` replaces this by what the tiles before come to, in order, as the walk along a row
adds them up.
"""

import math
from typing import Any, NamedTuple

from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from .sweeps import Carry

TOP, EXPONENTIALS, MASS_Y, MASS_X = 0, 1, 2, 3  # the largest logit, the sum of the others' exponentials, and masses
BALANCE, LATEST, MET = 4, 5, 6
TOTAL, STEPS, POTENTIALS, DROP = 7, 8, 9, 10  # costs, slopes up to the root, potentials
EXPECTATION = 11
QUANTITIES = 12


class Ledger(NamedTuple):
    """Where a row's ledger is, and how many tiles a line has."""

    address: Any
    tiles: Any


@device
def ledger_of(ledgers, tiles, row):
    """The ledger of a row."""
    return Ledger(ledgers + 8 * row * QUANTITIES * (tiles + 1), tiles)


@device
def before(ledger, quantity, tile):
    """What comes before a tile, once it is combined; what was noted of the tile, until then."""
    return DOUBLE.read(ledger.address + 8 * (quantity * (ledger.tiles + 1) + tile))


@device
def whole(ledger, quantity):
    """What all tiles come to."""
    return before(ledger, quantity, ledger.tiles)


@device
def note(ledger, quantity, tile, x):
    """Write what a tile comes to, which all threads of the block know."""
    if cuda.threadIdx.x == 0:
        DOUBLE.write(ledger.address + 8 * (quantity * (ledger.tiles + 1) + tile), x)


@device
def carry_to(ledger, tile):
    """The `Carry` of a tile. A tree may have more tiles of edges than of tokens: nothing is carried to those."""
    if tile > ledger.tiles:
        tile = ledger.tiles
    return Carry(before(ledger, BALANCE, tile), before(ledger, LATEST, tile), before(ledger, DROP, tile))


@cuda.jit
def combine(ledgers, tiles, across, first_line, lines):
    """Add up lines of each ledger from tile to tile, one warp to a line; of `TOP` and `LATEST`, find the largest."""
    block = types.int64(cuda.blockIdx.x)
    row = block // lines
    quantity = first_line + block - row * lines
    ledger = ledger_of(ledgers, tiles, row)
    lane = cuda.threadIdx.x
    largest = quantity in (TOP, LATEST)
    carry = -math.inf if largest else 0.0
    ahead = before(ledger, quantity, lane) if lane < across else carry
    for first in range(0, across, intrinsics.WARP):
        tile = first + lane
        x, mine = ahead, carry
        if tile + intrinsics.WARP < across:
            ahead = before(ledger, quantity, tile + intrinsics.WARP)
        for k in range(min(intrinsics.WARP, across - first)):
            if k == lane:
                mine = carry
            other = cuda.shfl_sync(intrinsics.ALL, x, k)
            if not largest:
                carry += other
            elif other > carry:
                carry = other
        if tile < across:
            DOUBLE.write(ledger.address + 8 * (quantity * (tiles + 1) + tile), mine)
    note(ledger, quantity, tiles, carry)
