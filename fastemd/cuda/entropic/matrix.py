"""The Gibbs kernel of a cost matrix: matrix products, or exponentials of each entry where these leave float64.

A block works on a few rows together, so that each entry of the matrix is loaded once for all of them. A thread has one
bin of the answer at a time and goes over the bins of the other side; neighbouring threads load neighbouring entries.
The weights of the block's rows, which all threads need, are in shared memory, one tile after the other. So the order of
a sum depends on the row alone.
"""

import math
from typing import Any, NamedTuple

from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types
from ..primitives.thread_group import REDUCTION_SLOTS, thread_group
from .logsumexp import clamped_exp, clamped_exp_32, logarithm
from .state import (
    LARGEST_LOG_WEIGHT,
    OMEGA,
    load,
    load_field,
    log_weight,
    row_address,
    store,
    store_field,
    weights_of,
)

# Rows of a block: as many sums as a thread holds. Forms named by a dtype only are products in it.
ROWS = {"float32": 8, "float64": 4, "float32 exponentials": 4, "float64 exponentials": 2}
TILE = 64  # bins whose weights are in shared memory together; a tile's sums in float32 are added up in float64
PREFETCH = 8  # entries of the matrix that a thread loads before it uses the first
# A sum between this and its inverse has lost nothing to over- or underflow.
SAFE_SUM = {"float32 exponentials": 1e20, "float64 exponentials": 1e280}


class Matrix(NamedTuple):
    """What the transport cost reads of a cost matrix: its address, and its smallest entry."""

    address: Any
    least: Any


class GibbsKernel(DeviceFunctions):
    """Device functions of a block. All its threads call both, and may read each other's sums after `log_sums`.

    rows                                                    of a block
    log_sums(state, base, count, own, other, options, cost) store ln of the sums at the bins of `own` in `state.sums`
    transport_cost(state, row, a, b, options, cost)         return a thread's share of a row's transport cost

    `cost` is a `Matrix`, or on a space the NamedTuple that its sweeps read.
    """

    rows: int
    log_sums: Any
    transport_cost: Any


def shared_bytes(form):
    """Return the bytes of shared memory of a block, besides those of its thread group."""
    return ROWS[form] * TILE * (4 if form == "float32" else 8)


def build(form, size):
    """Return the `GibbsKernel` of a form for a block of `size` threads."""
    log_sums = exponentials(form, size) if form in SAFE_SUM else products(form, size)
    in_float32 = form in ("float32", "float32 exponentials")
    return GibbsKernel(rows=ROWS[form], log_sums=log_sums, transport_cost=_transport_cost(in_float32, size))


def products(form, size):
    """Return `log_sums` by products: ln of e**(x - top) times the matrix, plus top."""
    numbers, kind = format_of(form), getattr(types, form)
    word, count_rows, tile = numbers.size, ROWS[form], TILE
    begin, prefetch = 8 * REDUCTION_SLOTS // word, PREFETCH
    most, write = thread_group(size, 1).max, numbers.store

    @device
    def weigh(state, row, other):
        x = weights_of(other, row)
        top = -math.inf
        for j in range(cuda.threadIdx.x, other.bins, size):
            top = max(top, log_weight(x, j))
        top = most(top)
        weights = state.weights + word * row * state.width
        for j in range(cuda.threadIdx.x, other.bins, size):
            write(weights + word * j, math.exp(log_weight(x, j) - top))
        if cuda.threadIdx.x == 0:
            store_field(state, LARGEST_LOG_WEIGHT, row, top)

    @device
    def load_tile(state, base, count, first, bins):
        shared = cuda.shared.array(0, kind)
        for item in range(cuda.threadIdx.x, count_rows * tile, size):
            r = item // tile
            j = item - r * tile
            weight = kind(0.0)
            if r < count and first + j < bins and load_field(state, OMEGA, base + r) != 0.0:
                weight = intrinsics.load(state.weights + word * ((base + r) * state.width + first + j), kind)
            shared[begin + j * count_rows + r] = weight

    @device
    def add_tile(gibbs_kernel, step, bins, sums):
        shared = cuda.shared.array(0, kind)
        part = cuda.local.array(count_rows, kind)
        entries = cuda.local.array(prefetch, kind)
        for r in range(count_rows):
            part[r] = kind(0.0)
        whole = bins // prefetch * prefetch
        for first in range(0, whole, prefetch):
            for e in range(prefetch):
                entries[e] = intrinsics.load(gibbs_kernel + step * (first + e), kind)
            # Indices into a slice are constants, which cost no arithmetic.
            weights = shared[begin + first * count_rows : begin + (first + prefetch) * count_rows]
            for e in range(prefetch):
                for r in range(count_rows):
                    part[r] += entries[e] * weights[e * count_rows + r]
        for j in range(whole, bins):
            entry = intrinsics.load(gibbs_kernel + step * j, kind)
            for r in range(count_rows):
                part[r] += entry * shared[begin + j * count_rows + r]
        for r in range(count_rows):
            sums[r] += types.float64(part[r])

    @device
    def log_sums(state, base, count, own, other, options, cost):
        sums = cuda.local.array(count_rows, types.float64)
        for r in range(count):
            if load_field(state, OMEGA, base + r) != 0.0:
                weigh(state, base + r, other)
        for start in range(0, own.bins, size):
            i = start + cuda.threadIdx.x
            for r in range(count_rows):
                sums[r] = 0.0
            for first in range(0, other.bins, tile):
                cuda.syncthreads()
                load_tile(state, base, count, first, other.bins)
                cuda.syncthreads()
                if i < own.bins:
                    gibbs_kernel = own.gibbs_kernel + word * (first * own.bins + i)
                    add_tile(gibbs_kernel, word * own.bins, min(tile, other.bins - first), sums)
            if i < own.bins:
                for r in range(count_rows):
                    if r < count:
                        store(row_address(state.sums, base + r, state.width), i, sums[r])
                for r in range(count):
                    row_sums = row_address(state.sums, base + r, state.width)
                    top = load_field(state, LARGEST_LOG_WEIGHT, base + r)
                    store(row_sums, i, top + logarithm(load(row_sums, i)))
        cuda.syncthreads()

    return log_sums


def exponentials(form, size):
    """Return `log_sums` by exponentials e**(x_j + hint - cost).

    The hint, the previous potential, keeps sums near 1. Where a sum leaves the range of its dtype, its thread makes it
    again, from the largest term.
    """
    count_rows, tile, safe, in_float32 = ROWS[form], TILE, SAFE_SUM[form], form == "float32 exponentials"
    kind = types.float32 if in_float32 else types.float64

    @device
    def exponential(z):
        if in_float32:
            return clamped_exp_32(types.float32(z))
        return clamped_exp(z)

    @device
    def load_tile(state, base, count, first, other):
        shared = cuda.shared.array(0, types.float64)
        for item in range(cuda.threadIdx.x, count_rows * tile, size):
            r = item // tile
            j = item - r * tile
            x = -math.inf
            if r < count and first + j < other.bins and load_field(state, OMEGA, base + r) != 0.0:
                entry = (base + r) * other.bins + first + j
                x = load(other.log_mass, entry) + load(other.potential, entry)
            shared[REDUCTION_SLOTS + j * count_rows + r] = x

    @device
    def add_tile(costs, step, bins, hint, sums):
        shared = cuda.shared.array(0, types.float64)
        part = cuda.local.array(count_rows, kind)
        for r in range(count_rows):
            part[r] = kind(0.0)
        for j in range(bins):
            cost = load(costs + step * j, 0)
            for r in range(count_rows):
                part[r] += exponential(shared[REDUCTION_SLOTS + j * count_rows + r] + hint[r] - cost)
        for r in range(count_rows):
            sums[r] += types.float64(part[r])

    @device
    def stable_log_sum(x, costs, step, bins):
        shift = math.inf
        for j in range(bins):
            shift = min(shift, load(costs + step * j, 0) - load(x.log_mass, j) - load(x.potential, j))
        total = 0.0
        for j in range(bins):
            total += math.exp(log_weight(x, j) + shift - load(costs + step * j, 0))
        return logarithm(total) - shift

    @device
    def store_log_sum(state, row, own, other, i):
        row_sums = row_address(state.sums, row, state.width)
        total = load(row_sums, i)
        log_sum = logarithm(total) - load(row_address(own.potential, row, own.bins), i)
        if not 1.0 / safe < total < safe:
            log_sum = stable_log_sum(weights_of(other, row), own.gibbs_kernel + 8 * i, 8 * own.bins, other.bins)
        store(row_sums, i, log_sum)

    @device
    def log_sums(state, base, count, own, other, options, cost):
        sums = cuda.local.array(count_rows, types.float64)
        hint = cuda.local.array(count_rows, types.float64)
        for start in range(0, own.bins, size):
            i = start + cuda.threadIdx.x
            for r in range(count_rows):
                sums[r] = hint[r] = 0.0
                if i < own.bins and r < count:
                    hint[r] = load(row_address(own.potential, base + r, own.bins), i)
            for first in range(0, other.bins, tile):
                cuda.syncthreads()
                load_tile(state, base, count, first, other)
                cuda.syncthreads()
                if i < own.bins:
                    costs = own.gibbs_kernel + 8 * (first * own.bins + i)
                    add_tile(costs, 8 * own.bins, min(tile, other.bins - first), hint, sums)
            if i < own.bins:
                for r in range(count_rows):
                    if r < count:
                        store(row_address(state.sums, base + r, state.width), i, sums[r])
                for r in range(count):
                    if load_field(state, OMEGA, base + r) != 0.0:
                        store_log_sum(state, base + r, own, other, i)
        cuda.syncthreads()

    return log_sums


def _transport_cost(in_float32, size):
    """Return the sum of cost * e**(x_i + y_j - cost / reg): a thread has columns j, and goes down the matrix's rows."""

    @device
    def term(cost, z):
        if in_float32:
            return cost * types.float64(clamped_exp_32(types.float32(z)))
        return cost * clamped_exp(z)

    @device
    def transport_cost(state, row, a, b, options, cost):
        x, y = weights_of(a, row), weights_of(b, row)
        total = 0.0
        for j in range(cuda.threadIdx.x, b.bins, size):
            y_j = log_weight(y, j) - options.least_over_reg
            for i in range(a.bins):
                cost_ij = load(cost.address, i * b.bins + j) - cost.least
                total += term(cost_ij, log_weight(x, i) + y_j - cost_ij / options.reg)
        return total

    return transport_cost
