"""Thread groups: the threads that work on one row, and their collective operations.

A group of up to 32 threads is part of a warp and uses shuffles; a block then has several groups. A larger group is a
whole block, whose warps exchange numbers in shared memory. The order of a sum depends only on the size of the group,
and every thread of the group gets the same bits.

Collective operations are called by all threads of a block. They use the first `REDUCTION_SLOTS` float64 of its shared
memory.
"""

import functools
import math
from typing import Any

from . import intrinsics
from .intrinsics import DeviceFunctions, cuda, device, types

SUMS_AT_ONCE = 4  # of `sum_four`
REDUCTION_SLOTS = 8 * SUMS_AT_ONCE  # the largest block has 8 warps


class ThreadGroup(DeviceFunctions):
    """The device functions of a group of `size` threads, a power of two.

    A row is worked in tiles, of which each thread has `columns` adjacent columns.

    rank()                  number of the thread in its group
    group_id()              number of the group in its block
    group_count()           groups of the block
    sync()                  wait until every thread of the group sees what the others have stored
    scan(x)                 sum of x over the threads of lower rank, and over all threads
    scan_max(x)             likewise the maximum, -1 for rank 0
    scan_counted(x, count)  sum of x and of an int32 over the threads of lower rank, and sum of x over all threads
    sum(x), min(x), max(x)  over all threads
    sum_four(a, b, c, d)    four sums at once
    vote(flag)              whether the flag, equal in all threads of a group, is set in any group of the warp
    """

    size: int
    columns: int
    tile: int
    rank: Any
    group_id: Any
    group_count: Any
    scan: Any
    scan_max: Any
    scan_counted: Any
    sum: Any
    sum_four: Any
    min: Any
    max: Any
    sync: Any
    vote: Any


@functools.cache
def thread_group(size, columns):
    """The `ThreadGroup` of `size` threads, each of which has `columns` columns."""
    shift = size.bit_length() - 1

    @device
    def rank():
        return cuda.threadIdx.x & (size - 1)

    @device
    def group_id():
        return cuda.threadIdx.x >> shift

    @device
    def group_count():
        return cuda.blockDim.x >> shift

    operations = _warp_operations(size) if size <= intrinsics.WARP else _block_operations(size)
    return ThreadGroup(
        size=size,
        columns=columns,
        tile=size * columns,
        rank=rank,
        group_id=group_id,
        group_count=group_count,
        **operations,
    )


@device
def _add(x, y):
    return x + y


@device
def _smaller(x, y):
    return y if y < x else x


@device
def _larger(x, y):
    return y if y > x else x


def _warp_reduction(combine, size):
    """The function that combines x over `size` adjacent lanes; all get the same bits."""

    @device
    def reduce(x):
        step = 1
        while step < size:
            x = combine(x, cuda.shfl_xor_sync(intrinsics.FULL_MASK, x, step))
            step *= 2
        return x

    return reduce


def _warp_scan(combine, size):
    """The function that combines x over the lanes up to this one, among `size` adjacent lanes."""

    @device
    def inclusive_scan(x):
        lane = cuda.threadIdx.x & (size - 1)
        step = 1
        while step < size:
            left = cuda.shfl_up_sync(intrinsics.FULL_MASK, x, step)
            if lane >= step:
                x = combine(left, x)
            step *= 2
        return x

    return inclusive_scan


def _warp_scan_counted(size):
    """The function that sums x and an int32 over the lanes up to this one, among `size` adjacent lanes."""

    @device
    def inclusive_scan(x, count):
        lane = cuda.threadIdx.x & (size - 1)
        step = 1
        while step < size:
            left = cuda.shfl_up_sync(intrinsics.FULL_MASK, x, step)
            left_count = cuda.shfl_up_sync(intrinsics.FULL_MASK, count, step)
            if lane >= step:
                x, count = left + x, types.int32(left_count + count)
            step *= 2
        return x, count

    return inclusive_scan


def _warp_operations(size):
    def scan_of(combine, identity):
        inclusive_scan = _warp_scan(combine, size)

        @device
        def scan(x):
            inclusive = inclusive_scan(x)
            before = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, 1)
            lane = cuda.threadIdx.x & (intrinsics.WARP - 1)
            result = cuda.shfl_sync(intrinsics.FULL_MASK, inclusive, lane | (size - 1))
            return before if lane & (size - 1) > 0 else identity, result

        return scan

    group_sum, scan_of_counted = _warp_reduction(_add, size), _warp_scan_counted(size)

    @device
    def scan_counted(x, count):
        inclusive, inclusive_count = scan_of_counted(x, count)
        before = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, 1)
        lane = cuda.threadIdx.x & (intrinsics.WARP - 1)
        result = cuda.shfl_sync(intrinsics.FULL_MASK, inclusive, lane | (size - 1))
        return before if lane & (size - 1) > 0 else 0.0, types.int32(inclusive_count - count), result

    @device
    def sum_four(a, b, c, d):
        return group_sum(a), group_sum(b), group_sum(c), group_sum(d)

    @device
    def sync():
        cuda.syncwarp()

    @device
    def vote(flag):
        return cuda.any_sync(intrinsics.FULL_MASK, flag)

    return {
        "scan": scan_of(_add, 0.0),
        "scan_max": scan_of(_larger, -1.0),
        "scan_counted": scan_counted,
        "sum": group_sum,
        "sum_four": sum_four,
        "min": _warp_reduction(_smaller, size),
        "max": _warp_reduction(_larger, size),
        "sync": sync,
        "vote": vote,
    }


def _block_operations(size):
    warp = intrinsics.WARP
    warps, shift = size // warp, warp.bit_length() - 1
    warp_sum, scan_of_counted = _warp_reduction(_add, warp), _warp_scan_counted(warp)

    def scan_of(combine, identity):
        inclusive_scan = _warp_scan(combine, warp)

        @device
        def scan(x):
            partial = cuda.shared.array(0, types.float64)
            inclusive = inclusive_scan(x)
            lane, warp_id = cuda.threadIdx.x & (warp - 1), cuda.threadIdx.x >> shift
            before = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, 1)
            if lane == warp - 1:
                partial[warp_id] = inclusive
            cuda.syncthreads()
            before_warp = result = identity
            for k in range(warps):
                if k == warp_id:
                    before_warp = result
                result = combine(result, partial[k])
            cuda.syncthreads()
            return combine(before_warp, before) if lane > 0 else before_warp, result

        return scan

    @device
    def scan_counted(x, count):
        partial = cuda.shared.array(0, types.float64)
        partial_counts = cuda.shared.array(0, types.int32)
        inclusive, inclusive_count = scan_of_counted(x, count)
        lane, warp_id = cuda.threadIdx.x & (warp - 1), cuda.threadIdx.x >> shift
        before = cuda.shfl_up_sync(intrinsics.FULL_MASK, inclusive, 1)
        if lane == warp - 1:
            partial[warp_id], partial_counts[2 * warps + warp_id] = inclusive, inclusive_count
        cuda.syncthreads()
        before_warp = result = 0.0
        count_before = types.int32(inclusive_count - count)
        for k in range(warps):
            if k == warp_id:
                before_warp = result
            if k < warp_id:
                count_before = types.int32(count_before + partial_counts[2 * warps + k])
            result += partial[k]
        cuda.syncthreads()
        return before_warp + before if lane > 0 else before_warp, count_before, result

    def reduction(combine, identity):
        warp_reduction = _warp_reduction(combine, warp)

        @device
        def reduce(x):
            partial = cuda.shared.array(0, types.float64)
            x = warp_reduction(x)
            if cuda.threadIdx.x & (warp - 1) == 0:
                partial[cuda.threadIdx.x >> shift] = x
            cuda.syncthreads()
            result = identity
            for k in range(warps):
                result = combine(result, partial[k])
            cuda.syncthreads()
            return result

        return reduce

    @device
    def sum_four(a, b, c, d):
        partial = cuda.shared.array(0, types.float64)
        a, b, c, d = warp_sum(a), warp_sum(b), warp_sum(c), warp_sum(d)
        if cuda.threadIdx.x & (warp - 1) == 0:
            slot = (cuda.threadIdx.x >> shift) * SUMS_AT_ONCE
            partial[slot], partial[slot + 1], partial[slot + 2], partial[slot + 3] = a, b, c, d
        cuda.syncthreads()
        a = b = c = d = 0.0
        for k in range(0, warps * SUMS_AT_ONCE, SUMS_AT_ONCE):
            a, b, c, d = a + partial[k], b + partial[k + 1], c + partial[k + 2], d + partial[k + 3]
        cuda.syncthreads()
        return a, b, c, d

    @device
    def sync():
        cuda.syncthreads()

    @device
    def vote(flag):
        return flag

    return {
        "scan": scan_of(_add, 0.0),
        "scan_max": scan_of(_larger, -1.0),
        "scan_counted": scan_counted,
        "sum": reduction(_add, 0.0),
        "sum_four": sum_four,
        "min": reduction(_smaller, math.inf),
        "max": reduction(_larger, -math.inf),
        "sync": sync,
        "vote": vote,
    }
