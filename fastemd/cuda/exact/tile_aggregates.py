"""Tile aggregates of a row that several blocks share: sums and maxima of its tiles, in global memory.

Each field has a float64 for each tile, and one for the row behind them. A block stores the aggregate of its tile. Then
`scan` replaces each aggregate by the sum of those before it, in the order in which a single block adds them up.
"""

import math
from typing import Any, NamedTuple

from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from .sweeps import Carry

MAX_LOGIT, EXP_SUM, MASS_Y, MASS_X = 0, 1, 2, 3  # exponentials less the largest logit; masses before normalization
BALANCE, LAST_NONZERO, MASS = 4, 5, 6
COST, ROOT_SLOPES, POTENTIAL_SUM, SLOPE_SUM = 7, 8, 9, 10
EXPECTED_POTENTIAL = 11
FIELDS = 12


class TileAggregates(NamedTuple):
    """The address of the aggregates of a row, and its number of tiles."""

    address: Any
    tiles: Any


@device
def aggregates_of(address, tiles, row):
    """The `TileAggregates` of a row."""
    return TileAggregates(address + 8 * row * FIELDS * (tiles + 1), tiles)


@device
def load(aggregates, field, tile):
    """The aggregate of a tile; after `scan`, of the tiles before it."""
    return DOUBLE.load(aggregates.address + 8 * (field * (aggregates.tiles + 1) + tile))


@device
def load_total(aggregates, field):
    """The aggregate of the row, after `scan`."""
    return load(aggregates, field, aggregates.tiles)


@device
def store(aggregates, field, tile, x):
    """Store the aggregate of a tile, which all threads of the block have."""
    if cuda.threadIdx.x == 0:
        DOUBLE.store(aggregates.address + 8 * (field * (aggregates.tiles + 1) + tile), x)


@device
def load_carry(aggregates, tile):
    """The `Carry` of a tile. A tree may have more tiles of edges than of tokens; the former need no carry."""
    if tile > aggregates.tiles:
        tile = aggregates.tiles
    return Carry(
        load(aggregates, BALANCE, tile), load(aggregates, LAST_NONZERO, tile), load(aggregates, SLOPE_SUM, tile)
    )


@cuda.jit
def scan(address, tiles, used_tiles, first_field, fields):
    """The exclusive scan of some fields of each row over its tiles, a warp to a field: maxima, or sums."""
    block = types.int64(cuda.blockIdx.x)
    row = block // fields
    field = first_field + block - row * fields
    aggregates = aggregates_of(address, tiles, row)
    lane = cuda.threadIdx.x
    maximum = field in (MAX_LOGIT, LAST_NONZERO)
    carry = -math.inf if maximum else 0.0
    prefetched = load(aggregates, field, lane) if lane < used_tiles else carry
    for first in range(0, used_tiles, intrinsics.WARP):
        tile = first + lane
        x, before = prefetched, carry
        if tile + intrinsics.WARP < used_tiles:
            prefetched = load(aggregates, field, tile + intrinsics.WARP)
        for k in range(min(intrinsics.WARP, used_tiles - first)):
            if k == lane:
                before = carry
            other = cuda.shfl_sync(intrinsics.FULL_MASK, x, k)
            if not maximum:
                carry += other
            elif other > carry:
                carry = other
        if tile < used_tiles:
            DOUBLE.store(aggregates.address + 8 * (field * (tiles + 1) + tile), before)
    store(aggregates, field, tiles, carry)
