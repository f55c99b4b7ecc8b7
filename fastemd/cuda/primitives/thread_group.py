"""Teams: the threads that share a row, and what they tell each other.

A team of up to 32 threads is part of a warp, and speaks by shuffles; several rows share a block. A larger team is a
whole block, and its warps meet in shared memory. All sums are taken in an order that depends on the size of the team
only, and every member gets the same bits.

Every thread of a block must reach every call. The first `MEETING` float64 of a block's
shared memory are theirs.
"""

import functools
import math
from typing import Any

from . import intrinsics
from .intrinsics import Parts, cuda, device, types

TOGETHER = 4  # numbers that a team adds up at once
MEETING = 8 * TOGETHER  # for each warp of the largest block


class Team(Parts):
    """What the members of a team of `size` threads, a power of two, can do together.

    A member holds `columns` neighbouring columns of a `tile`. `member()` is its number, `index()` that of the team in
    its block, which has `teams()` of them. `scan(x)` gives the sum of x over the members before this one, and over all;
    `latest(x)` likewise the maximum, -1 before the first; `total`, `least` and `most` the sum, minimum and maximum over
    all, and `totals` four sums at once; `meet` waits until all memory written before it can be seen; `anyone(flag)`
    tells whether any thread that could wait for another has it set.
    """

    size: int
    columns: int
    tile: int
    member: Any
    index: Any
    teams: Any
    scan: Any
    latest: Any
    total: Any
    totals: Any
    least: Any
    most: Any
    meet: Any
    anyone: Any


@functools.cache
def team(size, columns):
    """The `Team` of so many threads, each of so many columns."""
    shift = size.bit_length() - 1

    @device
    def member():
        return cuda.threadIdx.x & (size - 1)

    @device
    def index():
        return cuda.threadIdx.x >> shift

    @device
    def teams():
        return cuda.blockDim.x >> shift

    words = _in_warp(size) if size <= intrinsics.WARP else _in_block(size)
    return Team(size=size, columns=columns, tile=size * columns, member=member, index=index, teams=teams, **words)


@device
def _add(x, y):
    return x + y


@device
def _smaller(x, y):
    return y if y < x else x


@device
def _larger(x, y):
    return y if y > x else x


def _butterfly(combine, size):
    """Combine x over groups of `size` neighbouring lanes; all get the same bits."""

    @device
    def combined(x):
        step = 1
        while step < size:
            x = combine(x, cuda.shfl_xor_sync(intrinsics.ALL, x, step))
            step *= 2
        return x

    return combined


def _prefix(combine, size):
    """Combine x over the lanes up to this one, in groups of `size`."""

    @device
    def prefix(x):
        lane = cuda.threadIdx.x & (size - 1)
        step = 1
        while step < size:
            left = cuda.shfl_up_sync(intrinsics.ALL, x, step)
            if lane >= step:
                x = combine(left, x)
            step *= 2
        return x

    return prefix


def _in_warp(size):
    def scan_of(combine, neutral):
        prefix = _prefix(combine, size)

        @device
        def scan(x):
            upto = prefix(x)
            before = cuda.shfl_up_sync(intrinsics.ALL, upto, 1)
            lane = cuda.threadIdx.x & (intrinsics.WARP - 1)
            whole = cuda.shfl_sync(intrinsics.ALL, upto, lane | (size - 1))
            return before if lane & (size - 1) > 0 else neutral, whole

        return scan

    total = _butterfly(_add, size)

    @device
    def totals(a, b, c, d):
        return total(a), total(b), total(c), total(d)

    @device
    def meet():
        cuda.syncwarp()

    @device
    def anyone(flag):
        return cuda.any_sync(intrinsics.ALL, flag)

    return {
        "scan": scan_of(_add, 0.0),
        "latest": scan_of(_larger, -1.0),
        "total": total,
        "totals": totals,
        "least": _butterfly(_smaller, size),
        "most": _butterfly(_larger, size),
        "meet": meet,
        "anyone": anyone,
    }


def _in_block(size):
    warp = intrinsics.WARP
    warps, shift = size // warp, warp.bit_length() - 1
    within = _butterfly(_add, warp)

    def scan_of(combine, neutral):
        prefix = _prefix(combine, warp)

        @device
        def scan(x):
            found = cuda.shared.array(0, types.float64)
            upto = prefix(x)
            lane, own = cuda.threadIdx.x & (warp - 1), cuda.threadIdx.x >> shift
            before = cuda.shfl_up_sync(intrinsics.ALL, upto, 1)
            if lane == warp - 1:
                found[own] = upto
            cuda.syncthreads()
            earlier = whole = neutral
            for k in range(warps):
                if k == own:
                    earlier = whole
                whole = combine(whole, found[k])
            cuda.syncthreads()
            return combine(earlier, before) if lane > 0 else earlier, whole

        return scan

    def total_of(combine, neutral):
        combined = _butterfly(combine, warp)

        @device
        def total(x):
            found = cuda.shared.array(0, types.float64)
            x = combined(x)
            if cuda.threadIdx.x & (warp - 1) == 0:
                found[cuda.threadIdx.x >> shift] = x
            cuda.syncthreads()
            whole = neutral
            for k in range(warps):
                whole = combine(whole, found[k])
            cuda.syncthreads()
            return whole

        return total

    @device
    def totals(a, b, c, d):
        found = cuda.shared.array(0, types.float64)
        a, b, c, d = within(a), within(b), within(c), within(d)
        if cuda.threadIdx.x & (warp - 1) == 0:
            place = (cuda.threadIdx.x >> shift) * TOGETHER
            found[place], found[place + 1], found[place + 2], found[place + 3] = a, b, c, d
        cuda.syncthreads()
        a = b = c = d = 0.0
        for k in range(0, warps * TOGETHER, TOGETHER):
            a, b, c, d = a + found[k], b + found[k + 1], c + found[k + 2], d + found[k + 3]
        cuda.syncthreads()
        return a, b, c, d

    @device
    def meet():
        cuda.syncthreads()

    @device
    def anyone(flag):
        return flag

    return {
        "scan": scan_of(_add, 0.0),
        "latest": scan_of(_larger, -1.0),
        "total": total_of(_add, 0.0),
        "totals": totals,
        "least": total_of(_smaller, math.inf),
        "most": total_of(_larger, -math.inf),
        "meet": meet,
        "anyone": anyone,
    }
