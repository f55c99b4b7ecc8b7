"""Sums of exponentials by their logarithms: of two numbers, along segments of a row, and in float32.

The terms e**x may be of any size; only x is stored. `logsumexp` never over- or underflows and never subtracts.
"""

import functools
import math
from typing import Any

from ..primitives import intrinsics
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types
from ..primitives.thread_group import REDUCTION_SLOTS

LARGEST_EXPONENT = 709.0  # exp of it is finite in float64
LARGEST_EXPONENT_32 = 87.0  # exp of it is finite in float32, and exp of its negative is normal
LOG2_E, LN_2_HIGH, LN_2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
COEFFICIENTS = (1.0, 1.0, 0.5, 1.66666655e-1, 4.16658222e-2, 8.33345875e-3, 1.39816807e-3)  # exp on +-ln(2) / 2


@device
def clamped_exp(x):
    """Return e**x, at most e**709."""
    return math.exp(x if x < LARGEST_EXPONENT else LARGEST_EXPONENT)


@device
def logarithm(x):
    """Return the logarithm of x, -inf for 0 (where Python's raises)."""
    return math.log(x) if x > 0.0 else -math.inf


@device
def logsumexp(x, y):
    """Return the logarithm of e**x + e**y."""
    top = x if x > y else y
    if top == -math.inf:
        return top
    return top + math.log1p(math.exp((y if x > y else x) - top))


@device
def clamped_exp_32(x):
    """Return e**x in float32, within two units in the last place; 0 below e**-87, at most e**87.

    It takes additions and multiplications only: the device's own exponential in float32 is an approximate one.
    """
    one = types.float32(1.0)
    if x < types.float32(-LARGEST_EXPONENT_32):
        return one - one
    if x > types.float32(LARGEST_EXPONENT_32):
        x = types.float32(LARGEST_EXPONENT_32)
    half = types.float32(0.5) if x > types.float32(0.0) else types.float32(-0.5)
    k = types.int32(x * types.float32(LOG2_E) + half)
    whole = types.float32(k)
    r = x - whole * types.float32(LN_2_HIGH) - whole * types.float32(LN_2_LOW)
    p = types.float32(COEFFICIENTS[6])
    p = p * r + types.float32(COEFFICIENTS[5])
    p = p * r + types.float32(COEFFICIENTS[4])
    p = p * r + types.float32(COEFFICIENTS[3])
    p = p * r + types.float32(COEFFICIENTS[2])
    p = p * r + types.float32(COEFFICIENTS[1])
    p = p * r + types.float32(COEFFICIENTS[0])
    return p * intrinsics.float_of_bits(types.uint32(k + 127) << types.uint32(23))


class SegmentedScan(DeviceFunctions):
    """Scan over the threads of a block, cut into segments of neighbouring threads; all threads call both functions.

    before(x, first)    logsumexp of x over the threads from `first` up to the one before this; -inf for none
    last(x)             the x of the last thread
    """

    before: Any
    last: Any


@functools.cache
def segmented_scan(size):
    """Return the `SegmentedScan` of a block of `size` threads. The order of sums depends on the size only."""
    warp = min(size, intrinsics.WARP)
    warps, shift = size // warp, warp.bit_length() - 1

    @device
    def before(x, first):
        warp_sums = cuda.shared.array(0, types.float64)
        lane, own = cuda.threadIdx.x & (warp - 1), cuda.threadIdx.x >> shift
        head = max(first - own * warp, 0)
        inclusive = x
        step = 1
        while step < warp:
            left = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, step)
            if lane - step >= head:
                inclusive = logsumexp(left, inclusive)
            step *= 2
        left = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, 1)
        in_warp = left if lane > head else -math.inf
        if warps == 1:
            return in_warp
        if lane == warp - 1:
            warp_sums[own] = inclusive
        cuda.syncthreads()
        other_warps = -math.inf
        for k in range(warps - 1):
            if k < own and (k + 1) * warp > first:
                other_warps = logsumexp(other_warps, warp_sums[k])
        cuda.syncthreads()
        return logsumexp(other_warps, in_warp)

    @device
    def last(x):
        shared = cuda.shared.array(0, types.float64)
        if cuda.threadIdx.x == size - 1:
            shared[REDUCTION_SLOTS - 1] = x
        cuda.syncthreads()
        answer = shared[REDUCTION_SLOTS - 1]
        cuda.syncthreads()
        return answer

    return SegmentedScan(before=before, last=last)
