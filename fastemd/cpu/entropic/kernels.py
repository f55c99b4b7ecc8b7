"""The kernels of Sinkhorn's iteration: the sums that a potential is computed from, and its update.

A half step takes two kernels. The first sums over the bins of the other histogram: `space_logsumexp` on a space,
`matrix_logsumexp` on a cost matrix, or a matrix product between `stabilized_exp` and `stabilized_log`. The second
computes the new potential and measures the error of the marginal: `update`, or `rescale` where potentials are kept as
exponentials.

Recurring arguments: `x` (rows, n), the logarithm of mass times exp(potential); `sums` (rows, n), the result of the
first kernel; `mass` (rows, n), each row adding up to 1; `potential` (rows, n), over reg; `omega` (rows,), the
over-relaxation, 1 for Sinkhorn's own step; `error` (rows,), the marginal error; `first`, `last`, the range of rows.
"""

import math

import numpy as np
from numba import njit
from numba.extending import overload

from ..simd.blocks import load_block
from ..simd.exp_log import exp, log
from ..simd.extended_range import NEGLIGIBLE, add, exponential, load_number, logarithm, store_number, times_weight, zero
from ..simd.lanes import INLINE, WIDTH, any_lane, lanes, load, maximum, minimum, select, store
from ..simd.rows import load_columns, load_lanes, rows, store_columns, store_lanes
from . import ring, tree  # noqa: F401  (they register their sweeps)
from .chain import Chain
from .sweeps import sweep, total, transport_cost

LARGEST = 709.0  # the largest whole number whose exponential is finite
SAFE_SUM = 1e280  # a sum between this and its inverse has lost no digit to over- or underflow


@njit(**INLINE)
def clamped_exp(x):
    """Return exp(x), at most exp(709)."""
    return exp(minimum(lanes(LARGEST), x))


@njit(nogil=True)
def update(sums, mass, log_mass, potential, x, omega, offset, damping, measure, tol, error, plan_mass, first, last):
    """Move potentials towards `-(sums + offset) / (1 + damping)` by omega times the difference; set x accordingly.

    `damping` is reg / unbalanced. On entry `error` is that of the other marginal. With `measure` it becomes that of
    both marginals before the step, `plan_mass` becomes the mass of the plan, and rows whose error is at most `tol` stay
    as they are. Without `measure` it becomes that of this marginal after the step, which is 0 for a plain step.
    """
    n = sums.shape[1]
    divisor = 1.0 + damping
    block = np.empty(2 * WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s, m, lm = rows(sums, row, last, None), rows(mass, row, last, None), rows(log_mass, row, last, None)
        f, out = rows(potential, row, last, None), rows(x, row, last, None)
        shift = load_lanes(offset, row, last)
        step = load_lanes(omega, row, last)
        remaining = lanes(1.0) if measure else 1.0 - step
        deviation = moved_mass = lanes(0.0)
        if any_lane(abs(remaining) > 0.0):
            for j in range(0, n, WIDTH):
                s8, _ = load_columns(s, j, n)
                m8, _ = load_columns(m, j, n)
                f8, _ = load_columns(f, j, n)
                for k in range(WIDTH):
                    excess = s8[k] + shift + divisor * f8[k]  # ln of the marginal over its histogram
                    part = m8[k] * clamped_exp(-damping * f8[k]) if damping > 0.0 else m8[k]
                    deviation += part * abs(clamped_exp(remaining * excess) - 1.0)
                    if measure:
                        moved_mass += part * clamped_exp(excess)
        if measure:
            store_lanes(plan_mass, row, last, moved_mass)
            deviation = deviation + load_lanes(error, row, last)
            step = select(deviation <= tol, 0.0, step)
        store_lanes(error, row, last, deviation)
        step = step / divisor
        for j in range(0, n, WIDTH):
            s8, _ = load_columns(s, j, n)
            l8, _ = load_columns(lm, j, n)
            f8, _ = load_columns(f, j, n)
            for k in range(WIDTH):
                # An empty bin adds nothing to the error, so its potential is always set by a plain step.
                own_step = select(l8[k] == -np.inf, 1.0 / divisor, step)
                new = f8[k] - own_step * (s8[k] + shift + divisor * f8[k])
                store(block, k, new)
                store(block, WIDTH + k, new + l8[k])
            store_columns(f, j, n, load_block(block, 0))
            store_columns(out, j, n, load_block(block, WIDTH))


@njit(nogil=True)
def rescale(sums, mass, scaling, weight, omega, measure, tol, error, plan_mass, first, last):
    """As `update` for potentials kept as exponentials: `scaling` is exp(potential), `weight` is mass * scaling."""
    n = sums.shape[1]
    block = np.empty(2 * WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s, m = rows(sums, row, last, None), rows(mass, row, last, None)
        u, out = rows(scaling, row, last, None), rows(weight, row, last, None)
        step = load_lanes(omega, row, last)
        plain = not any_lane(abs(step - 1.0) > 0.0)
        deviation = moved_mass = lanes(0.0)
        if measure:
            for j in range(0, n, WIDTH):
                s8, _ = load_columns(s, j, n)
                m8, _ = load_columns(m, j, n)
                u8, _ = load_columns(u, j, n)
                for k in range(WIDTH):
                    ratio = s8[k] * u8[k]  # the marginal over its histogram
                    moved_mass += m8[k] * ratio
                    deviation += m8[k] * abs(ratio - 1.0)
            store_lanes(plan_mass, row, last, moved_mass)
            deviation = deviation + load_lanes(error, row, last)
            converged = deviation <= tol
            plain = plain and not any_lane(converged)
            step = select(converged, 0.0, step)
        for j in range(0, n, WIDTH):
            s8, _ = load_columns(s, j, n)
            m8, _ = load_columns(m, j, n)
            if plain:
                for k in range(WIDTH):
                    new = 1.0 / s8[k]
                    store(block, k, new)
                    store(block, WIDTH + k, new * m8[k])
            else:
                u8, _ = load_columns(u, j, n)
                for k in range(WIDTH):
                    if j + k < n:
                        own_step = select(m8[k] == 0.0, 1.0, step)
                        new = u8[k] * clamped_exp(-own_step * log(s8[k] * u8[k]))
                        store(block, k, new)
                        store(block, WIDTH + k, new * m8[k])
                        if not measure:
                            deviation += m8[k] * abs(s8[k] * new - 1.0)
            store_columns(u, j, n, load_block(block, 0))
            store_columns(out, j, n, load_block(block, WIDTH))
        store_lanes(error, row, last, deviation)


@njit(**INLINE)
def _top(x, n):
    """Return the largest number of each of eight rows."""
    top = lanes(-np.inf)
    for j in range(0, n, WIDTH):
        x8, _ = load_columns(x, j, n)
        for k in range(WIDTH):
            if j + k < n:
                top = maximum(x8[k], top)
    return top


@njit(nogil=True)
def stabilized_exp(x, weight, tops, first, last):
    """Write exp(x - top), 0 where that is negligible, and the largest number `top` of each row."""
    n = x.shape[1]
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        numbers, out = rows(x, row, last, None), rows(weight, row, last, None)
        top = _top(numbers, n)
        store_lanes(tops, row, last, top)
        for j in range(0, n, WIDTH):
            x8, _ = load_columns(numbers, j, n)
            for k in range(WIDTH):
                store(block, k, select(x8[k] - top < NEGLIGIBLE, 0.0, exp(x8[k] - top)))
            store_columns(out, j, n, load_block(block, 0))


@njit(nogil=True)
def stabilized_log(sums, tops, first, last):
    """Replace sums by ln(sums) + top."""
    n = sums.shape[1]
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s = rows(sums, row, last, None)
        top = load_lanes(tops, row, last)
        for j in range(0, n, WIDTH):
            s8, _ = load_columns(s, j, n)
            for k in range(WIDTH):
                store(block, k, top + log(s8[k]))
            store_columns(s, j, n, load_block(block, 0))


@njit(**INLINE)
def _load_weights(x, space, n, scratch):
    """Store exp(x - top) of eight rows into entries 0..n-1; return top."""
    top = _top(x, n) if space.exponent is None else lanes(0.0)
    for j in range(0, n, WIDTH):
        x8, _ = load_columns(x, j, n)
        for k in range(WIDTH):
            if j + k < n:
                store_number(scratch, j + k, exponential(x8[k], top, space.exponent))
    return top


def apply_kernel(x, out, space, n, scratch, block):
    """Apply the Gibbs kernel to exp(x) of eight rows, and write the logarithm of the sums."""


@overload(apply_kernel, jit_options=INLINE)
def _apply_kernel(x, out, space, n, scratch, block):
    def by_sweep(x, out, space, n, scratch, block):
        top = _load_weights(x, space, n, scratch)
        sweep(space, n, scratch)
        for j in range(0, n, WIDTH):
            for k in range(WIDTH):
                if j + k < n:
                    store(block, k, logarithm(total(space, n, scratch, j + k), top))
            store_columns(out, j, n, load_block(block, 0))

    # Long chains are bound by memory traffic: weights are computed twice rather than kept, and sums written at once.
    def by_two_passes(x, out, space, n, scratch, block):
        top = _top(x, n) if space.exponent is None else lanes(0.0)
        left = right = zero(space.exponent)
        for j in range(0, n, WIDTH):
            x8, _ = load_columns(x, j, n)
            for k in range(WIDTH):
                if j + k < n:
                    arriving = times_weight(left, space.weight, space.exponent, max(j + k - 1, 0))
                    left = add(exponential(x8[k], top, space.exponent), arriving)
                    store_number(scratch, j + k, left)
        for j in range((n - 1) // WIDTH * WIDTH, -1, -WIDTH):
            x8, _ = load_columns(x, j, n)
            for i in range(WIDTH):
                k = WIDTH - 1 - i
                if j + k < n:
                    arriving = times_weight(right, space.weight, space.exponent, j + k)
                    store(block, k, logarithm(add(load_number(scratch, j + k, space.exponent), arriving), top))
                    right = add(exponential(x8[k], top, space.exponent), arriving)
            store_columns(out, j, n, load_block(block, 0))

    return by_two_passes if space.instance_class is Chain else by_sweep


@njit(nogil=True)
def space_logsumexp(x, sums, space, scratch, first, last):
    """Write ln of the sum of exp(x_j - distance(i, j) / reg) over the bins j of a space, for each bin i."""
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        apply_kernel(rows(x, row, last, None), rows(sums, row, last, None), space, x.shape[1], scratch, block)


@njit(nogil=True)
def space_transport_cost(x, y, space, scratch, other, values, first, last):
    """Write the sum of distance(i, j) * exp(x_i + y_j - distance(i, j) / reg) over all pairs of bins of a space."""
    n = x.shape[1]
    for row in range(first, last, WIDTH):
        top = _load_weights(rows(x, row, last, None), space, n, scratch)
        top = top + _load_weights(rows(y, row, last, None), space, n, other)
        sweep(space, n, scratch)
        sweep(space, n, other)
        store_lanes(values, row, last, transport_cost(space, n, scratch, other, clamped_exp(top)))


@njit(**INLINE)
def _sum_of_lanes(x):
    """Return the sum over the lanes."""
    block = np.empty(WIDTH)
    store(block, 0, x)
    return block.sum()


@njit(nogil=True)
def matrix_logsumexp(x, sums, guess, cost, first, last):
    """Write ln of the sum of exp(x_j - cost_ij) over j, for a cost over reg whose rows are padded to whole registers.

    `guess` is minus the answer of the iteration before. Once the iteration has settled, exp(guess) times the sum is
    near 1, so no maximum needs to be found first. Where that sum leaves the range of float64, it is computed again with
    the maximum. A cost of inf forbids a pair; a sum without any term counts as 1, so that no potential is infinite.
    """
    n = x.shape[1]
    blocks = cost.size // sums.shape[1] // WIDTH
    row_x = np.full(blocks * WIDTH, -np.inf)
    for row in range(first, last):
        row_x[:n] = x[row]
        for i in range(sums.shape[1]):
            shift = guess[row, i]
            partial = lanes(0.0)
            for j in range(blocks):
                partial += clamped_exp(load(row_x, j) + shift - load(cost, i * blocks + j))
            result = _sum_of_lanes(partial)
            if not 1.0 / SAFE_SUM < result < SAFE_SUM:
                shift = np.inf
                for j in range(n):
                    shift = min(shift, cost[i * blocks * WIDTH + j] - row_x[j])
                partial = lanes(0.0)
                if shift < np.inf:
                    for j in range(blocks):
                        partial += exp(load(row_x, j) + shift - load(cost, i * blocks + j))
                    result = _sum_of_lanes(partial)
                else:
                    shift, result = 0.0, 1.0
            sums[row, i] = math.log(result) - shift


@njit(nogil=True)
def matrix_transport_cost(x, y, cost, values, first, last):
    """Write the sum of cost_ij * exp(x_i + y_j - cost_ij) over all pairs, for a cost as in `matrix_logsumexp`.

    A pair that is forbidden adds nothing.
    """
    blocks = cost.size // x.shape[1] // WIDTH
    row_y = np.full(blocks * WIDTH, -np.inf)
    for row in range(first, last):
        row_y[: y.shape[1]] = y[row]
        result = lanes(0.0)
        for i in range(x.shape[1]):
            for j in range(blocks):
                entry = load(cost, i * blocks + j)
                term = entry * clamped_exp(load(row_y, j) + x[row, i] - entry)
                result += select(entry < np.inf, term, 0.0)
        values[row] = _sum_of_lanes(result)
