"""Sums of exponentials by their logarithms: of two numbers, along segments of a row, and in float32.

What is added up are numbers e**x of any size, of which only x is known. `plus` is ln(e**x + e**y); nothing over- or
underflows, nothing is subtracted.
"""

import functools
import math
from typing import Any

from ..primitives import intrinsics
from ..primitives.intrinsics import Parts, cuda, device, types
from ..primitives.thread_group import MEETING

LARGEST = 709.0  # of which exp is finite
LOG2_E, LN_2_HIGH, LN_2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
SERIES = (1.0, 1.0, 0.5, 1.66666655e-1, 4.16658222e-2, 8.33345875e-3, 1.39816807e-3)  # of exp in -ln 2 / 2..ln 2 / 2
NARROW = 87.0  # of which the float32 exponential is finite, and that of its negative is normal


@device
def growth(x):
    """e**x, at most e**709."""
    return math.exp(x if x < LARGEST else LARGEST)


@device
def logarithm(x):
    """The logarithm of x, and -inf of 0, which Python refuses."""
    return math.log(x) if x > 0.0 else -math.inf


@device
def plus(x, y):
    """The logarithm of e**x + e**y."""
    top = x if x > y else y
    if top == -math.inf:
        return top
    return top + math.log1p(math.exp((y if x > y else x) - top))


@device
def narrow_growth(x):
    """e**x in float32, within two units of its last place; 0 below e**-87, at most e**87.

    Made of additions and multiplications: the device's own exponential in float32 is an approximate one.
    """
    one = types.float32(1.0)
    if x < types.float32(-NARROW):
        return one - one
    if x > types.float32(NARROW):
        x = types.float32(NARROW)
    half = types.float32(0.5) if x > types.float32(0.0) else types.float32(-0.5)
    k = types.int32(x * types.float32(LOG2_E) + half)
    whole = types.float32(k)
    r = x - whole * types.float32(LN_2_HIGH) - whole * types.float32(LN_2_LOW)
    p = types.float32(SERIES[6])
    p = p * r + types.float32(SERIES[5])
    p = p * r + types.float32(SERIES[4])
    p = p * r + types.float32(SERIES[3])
    p = p * r + types.float32(SERIES[2])
    p = p * r + types.float32(SERIES[1])
    p = p * r + types.float32(SERIES[0])
    return p * intrinsics.float_of_bits(types.uint32(k + 127) << types.uint32(23))


class Segments(Parts):
    """Sums along segments of neighbouring members of a block; all members call both.

    before(x, first)    ln of the sum of e**x over the members from `first` up to the one before this: -inf where none
    last(x)             the x of the last member
    """

    before: Any
    last: Any


@functools.cache
def segments(size):
    """The `Segments` of a block of `size` threads. Sums are taken in an order that depends on the size only."""
    warp = min(size, intrinsics.WARP)
    warps, shift = size // warp, warp.bit_length() - 1

    @device
    def before(x, first):
        found = cuda.shared.array(0, types.float64)
        lane, own = cuda.threadIdx.x & (warp - 1), cuda.threadIdx.x >> shift
        head = max(first - own * warp, 0)
        upto = x
        step = 1
        while step < warp:
            left = cuda.shfl_up_sync(intrinsics.ALL, upto, step)
            if lane - step >= head:
                upto = plus(left, upto)
            step *= 2
        left = cuda.shfl_up_sync(intrinsics.ALL, upto, 1)
        near = left if lane > head else -math.inf
        if warps == 1:
            return near
        if lane == warp - 1:
            found[own] = upto
        cuda.syncthreads()
        far = -math.inf
        for k in range(warps - 1):
            if k < own and (k + 1) * warp > first:
                far = plus(far, found[k])
        cuda.syncthreads()
        return plus(far, near)

    @device
    def last(x):
        found = cuda.shared.array(0, types.float64)
        if cuda.threadIdx.x == size - 1:
            found[MEETING - 1] = x
        cuda.syncthreads()
        answer = found[MEETING - 1]
        cuda.syncthreads()
        return answer

    return Segments(before=before, last=last)
