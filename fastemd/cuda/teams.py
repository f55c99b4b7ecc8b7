"""Teams: the threads that share a row, and what they tell each other.

A team of up to 32 threads is part of a warp, and speaks by shuffles; several rows share a block. A larger team is a
whole block, and its warps meet in shared memory. All sums are taken in an order that depends on the size of the team
only, and every member gets the same bits.

Every thread of a block must reach every call. The first `MEETING` float64 of a block's shared memory are theirs.
"""

import functools
import math
from typing import Any

from . import target
from .target import Parts, cuda, device, types

MEETING = 8  # warps of the largest block


class Team(Parts):
    """What the members of a team of `size` threads can do together.

    `scan(x)` gives the sum of x over the members before this one, and over all; `latest(x)` likewise the maximum, -1
    before the first; `total`, `least` and `most` the sum, minimum and maximum over all; `meet` waits until all memory
    written before it can be seen; `anyone(flag)` tells whether any thread that could wait for another has it set.
    """

    size: int
    scan: Any
    latest: Any
    total: Any
    least: Any
    most: Any
    meet: Any
    anyone: Any


@functools.cache
def team(size):
    """The `Team` of so many threads, a power of two."""
    if size <= target.WARP:
        return _in_warp(size)
    return _in_block(size)


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
            x = combine(x, cuda.shfl_xor_sync(target.ALL, x, step))
            step *= 2
        return x

    return combined


def _prefix(combine, size):
    """Combine x over the lanes up to this one, in groups of `size`."""

    @device
    def prefix(x):
        lane = cuda.threadIdx.x % size
        step = 1
        while step < size:
            left = cuda.shfl_up_sync(target.ALL, x, step)
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
            before = cuda.shfl_up_sync(target.ALL, upto, 1)
            lane = cuda.threadIdx.x % target.WARP
            whole = cuda.shfl_sync(target.ALL, upto, lane | (size - 1))
            return before if lane % size > 0 else neutral, whole

        return scan

    @device
    def meet():
        cuda.syncwarp()

    @device
    def anyone(flag):
        return cuda.any_sync(target.ALL, flag)

    return Team(
        size=size,
        scan=scan_of(_add, 0.0),
        latest=scan_of(_larger, -1.0),
        total=_butterfly(_add, size),
        least=_butterfly(_smaller, size),
        most=_butterfly(_larger, size),
        meet=meet,
        anyone=anyone,
    )


def _in_block(size):
    warp = target.WARP
    warps = size // warp

    def scan_of(combine, neutral):
        prefix = _prefix(combine, warp)

        @device
        def scan(x):
            found = cuda.shared.array(0, types.float64)
            upto = prefix(x)
            lane, own = cuda.threadIdx.x % warp, cuda.threadIdx.x // warp
            before = cuda.shfl_up_sync(target.ALL, upto, 1)
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
        within = _butterfly(combine, warp)

        @device
        def total(x):
            found = cuda.shared.array(0, types.float64)
            x = within(x)
            if cuda.threadIdx.x % warp == 0:
                found[cuda.threadIdx.x // warp] = x
            cuda.syncthreads()
            whole = neutral
            for k in range(warps):
                whole = combine(whole, found[k])
            cuda.syncthreads()
            return whole

        return total

    @device
    def meet():
        cuda.syncthreads()

    @device
    def anyone(flag):
        return flag

    return Team(
        size=size,
        scan=scan_of(_add, 0.0),
        latest=scan_of(_larger, -1.0),
        total=total_of(_add, 0.0),
        least=total_of(_smaller, math.inf),
        most=total_of(_larger, -math.inf),
        meet=meet,
        anyone=anyone,
    )
