"""The kernels of Sinkhorn's iteration: the sums over all bins that a potential follows from, and its update.

A half step takes two kernels. The first sums over the bins of the other histogram: `along` a space, `soften` over a
cost matrix, or a matrix product between `weigh` and `logarithms`. The second, `update`, or `rescale` where potentials
are kept as exponentials, makes the new potential of it, and measures on the way how far the marginal was off.

Arguments that recur: `x` (rows, n), the logarithm of mass times e**potential; `sums` (rows, n), what the first kernel
leaves; `mass` (rows, n), each row adding up to 1; `pot` (rows, n), potentials over reg; `omega` (rows,), the
over-relaxation, 1 for Sinkhorn's own step; `error` (rows,); `first`, `last`, the range of rows.
"""

import math

import numpy as np
from numba import njit
from numba.extending import overload

from ..simd.blocks import run
from ..simd.exp_log import exp, log
from ..simd.extended_range import NEGLIGIBLE, fetch, logarithm, nothing, plus, seed, stow, times
from ..simd.lanes import INLINE, WIDTH, any_lane, get, lanes, maximum, minimum, put, select
from ..simd.rows import columns, pick, rows, spread, store
from . import ring, tree  # noqa: F401  (they register their sweeps)
from .chain import Chain
from .sweeps import sweep, total, transport_cost

LARGEST = 709.0  # of which exp is finite
CERTAIN = 1e280  # a sum between this and its inverse has lost nothing to over- or underflow


@njit(**INLINE)
def growth(x):
    """e**x for any x, at most e**709."""
    return exp(minimum(lanes(LARGEST), x))


@njit(nogil=True)
def update(sums, mass, log_mass, pot, x, omega, offset, damp, judge, tol, error, carried, first, last):
    """Move potentials towards `-(sums + offset) / (1 + damp)`, omega times the way, and set x to log_mass + pot.

    `damp` is reg / unbalanced. `error` comes as that of the other marginal. With `judge` it becomes that of both
    marginals before the step, `carried` becomes the mass of the plan, and rows where the error is at most `tol` stay as
    they are. Without, it becomes that of this marginal after the step, which is 0 unless omega makes it more.
    """
    n = sums.shape[1]
    stiff = 1.0 + damp
    block = np.empty(2 * WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s, m, lm = rows(sums, row, last, None), rows(mass, row, last, None), rows(log_mass, row, last, None)
        f, out = rows(pot, row, last, None), rows(x, row, last, None)
        ahead = pick(offset, row, last)
        step = pick(omega, row, last)
        share = lanes(1.0) if judge else 1.0 - step
        off = moved = lanes(0.0)
        if any_lane(abs(share) > 0.0):
            for j in range(0, n, WIDTH):
                s8, _ = columns(s, j, n)
                m8, _ = columns(m, j, n)
                f8, _ = columns(f, j, n)
                for k in range(WIDTH):
                    excess = s8[k] + ahead + stiff * f8[k]  # ln of how many times too large the marginal is
                    part = m8[k] * growth(-damp * f8[k]) if damp > 0.0 else m8[k]
                    off += part * abs(growth(share * excess) - 1.0)
                    if judge:
                        moved += part * growth(excess)
        if judge:
            spread(carried, row, last, moved)
            off = off + pick(error, row, last)
            step = select(off <= tol, 0.0, step)
        spread(error, row, last, off)
        step = step / stiff
        for j in range(0, n, WIDTH):
            s8, _ = columns(s, j, n)
            l8, _ = columns(lm, j, n)
            f8, _ = columns(f, j, n)
            for k in range(WIDTH):
                # An empty bin weighs nothing and is never judged; its potential is just what follows from the others.
                here = select(l8[k] == -np.inf, 1.0 / stiff, step)
                new = f8[k] - here * (s8[k] + ahead + stiff * f8[k])
                put(block, k, new)
                put(block, WIDTH + k, new + l8[k])
            store(f, j, n, run(block, 0))
            store(out, j, n, run(block, WIDTH))


@njit(nogil=True)
def rescale(sums, mass, scaling, weight, omega, judge, tol, error, carried, first, last):
    """As `update`, potentials being kept as exponentials: `scaling` is e**pot, `weight` is mass * scaling."""
    n = sums.shape[1]
    block = np.empty(2 * WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s, m = rows(sums, row, last, None), rows(mass, row, last, None)
        u, out = rows(scaling, row, last, None), rows(weight, row, last, None)
        step = pick(omega, row, last)
        plain = not any_lane(abs(step - 1.0) > 0.0)
        off = moved = lanes(0.0)
        if judge:
            for j in range(0, n, WIDTH):
                s8, _ = columns(s, j, n)
                m8, _ = columns(m, j, n)
                u8, _ = columns(u, j, n)
                for k in range(WIDTH):
                    times = s8[k] * u8[k]  # how many times too large the marginal is
                    moved += m8[k] * times
                    off += m8[k] * abs(times - 1.0)
            spread(carried, row, last, moved)
            off = off + pick(error, row, last)
            still = off <= tol
            plain = plain and not any_lane(still)
            step = select(still, 0.0, step)
        for j in range(0, n, WIDTH):
            s8, _ = columns(s, j, n)
            m8, _ = columns(m, j, n)
            if plain:
                for k in range(WIDTH):
                    new = 1.0 / s8[k]
                    put(block, k, new)
                    put(block, WIDTH + k, new * m8[k])
            else:
                u8, _ = columns(u, j, n)
                for k in range(WIDTH):
                    if j + k < n:
                        here = select(m8[k] == 0.0, 1.0, step)
                        new = u8[k] * growth(-here * log(s8[k] * u8[k]))
                        put(block, k, new)
                        put(block, WIDTH + k, new * m8[k])
                        if not judge:
                            off += m8[k] * abs(s8[k] * new - 1.0)
            store(u, j, n, run(block, 0))
            store(out, j, n, run(block, WIDTH))
        spread(error, row, last, off)


@njit(**INLINE)
def _top(x, n):
    """The largest number of each of eight rows."""
    top = lanes(-np.inf)
    for j in range(0, n, WIDTH):
        x8, _ = columns(x, j, n)
        for k in range(WIDTH):
            if j + k < n:
                top = maximum(x8[k], top)
    return top


@njit(nogil=True)
def weigh(x, weight, tops, first, last):
    """Write e**(x - top), 0 where that is negligible, for the top of each row."""
    n = x.shape[1]
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        source, out = rows(x, row, last, None), rows(weight, row, last, None)
        top = _top(source, n)
        spread(tops, row, last, top)
        for j in range(0, n, WIDTH):
            x8, _ = columns(source, j, n)
            for k in range(WIDTH):
                put(block, k, select(x8[k] - top < NEGLIGIBLE, 0.0, exp(x8[k] - top)))
            store(out, j, n, run(block, 0))


@njit(nogil=True)
def logarithms(sums, tops, first, last):
    """Replace sums by ln sums + top."""
    n = sums.shape[1]
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        s = rows(sums, row, last, None)
        top = pick(tops, row, last)
        for j in range(0, n, WIDTH):
            s8, _ = columns(s, j, n)
            for k in range(WIDTH):
                put(block, k, top + log(s8[k]))
            store(s, j, n, run(block, 0))


@njit(**INLINE)
def _seeds(x, space, n, buffer):
    """Put e**(x - top) of eight rows into places 0..n-1; return top."""
    top = _top(x, n) if space.power is None else lanes(0.0)
    for j in range(0, n, WIDTH):
        x8, _ = columns(x, j, n)
        for k in range(WIDTH):
            if j + k < n:
                stow(buffer, j + k, seed(x8[k], top, space.power))
    return top


def relay(x, out, space, n, buffer, block):
    """Write ln of the sums of eight rows."""


@overload(relay, jit_options=INLINE)
def _relay(x, out, space, n, buffer, block):
    def by_sweep(x, out, space, n, buffer, block):
        top = _seeds(x, space, n, buffer)
        sweep(space, n, buffer)
        for j in range(0, n, WIDTH):
            for k in range(WIDTH):
                if j + k < n:
                    put(block, k, logarithm(total(space, n, buffer, j + k), top))
            store(out, j, n, run(block, 0))

    # On long chains memory is what takes time: weights are made twice rather than kept, and sums written at once.
    def by_two_passes(x, out, space, n, buffer, block):
        top = _top(x, n) if space.power is None else lanes(0.0)
        left = right = nothing(space.power)
        for j in range(0, n, WIDTH):
            x8, _ = columns(x, j, n)
            for k in range(WIDTH):
                if j + k < n:
                    arriving = times(left, space.weight, space.power, max(j + k - 1, 0))
                    left = plus(seed(x8[k], top, space.power), arriving)
                    stow(buffer, j + k, left)
        for j in range((n - 1) // WIDTH * WIDTH, -1, -WIDTH):
            x8, _ = columns(x, j, n)
            for i in range(WIDTH):
                k = WIDTH - 1 - i
                if j + k < n:
                    arriving = times(right, space.weight, space.power, j + k)
                    put(block, k, logarithm(plus(fetch(buffer, j + k, space.power), arriving), top))
                    right = plus(seed(x8[k], top, space.power), arriving)
            store(out, j, n, run(block, 0))

    return by_two_passes if space.instance_class is Chain else by_sweep


@njit(nogil=True)
def along(x, sums, space, buffer, first, last):
    """Ln of the sum of e**(x_j - distance(i, j) / reg) over j, on a space whose kernel is a product along paths."""
    block = np.empty(WIDTH * WIDTH)
    for row in range(first, last, WIDTH):
        relay(rows(x, row, last, None), rows(sums, row, last, None), space, x.shape[1], buffer, block)


@njit(nogil=True)
def along_cost(x, y, space, buffer, other, values, first, last):
    """Sum of distance(i, j) * e**(x_i + y_j - distance(i, j) / reg) over all pairs."""
    n = x.shape[1]
    for row in range(first, last, WIDTH):
        top = _seeds(rows(x, row, last, None), space, n, buffer)
        top = top + _seeds(rows(y, row, last, None), space, n, other)
        sweep(space, n, buffer)
        sweep(space, n, other)
        spread(values, row, last, transport_cost(space, n, buffer, other, growth(top)))


@njit(**INLINE)
def _across(x):
    """The sum over the lanes."""
    block = np.empty(WIDTH)
    put(block, 0, x)
    return block.sum()


@njit(nogil=True)
def soften(x, sums, hint, cost, first, last):
    """Ln of the sum of e**(x_j - cost_ij) over j, for a cost over reg whose rows are padded to whole registers.

    e**hint times the sum is near 1 once the iteration has settled, so no largest term needs to be looked for first;
    where that sum leaves the range of float64 it is made again, from the largest term.
    """
    n = x.shape[1]
    blocks = cost.size // sums.shape[1] // WIDTH
    row_x = np.full(blocks * WIDTH, -np.inf)
    for row in range(first, last):
        row_x[:n] = x[row]
        for i in range(sums.shape[1]):
            shift = hint[row, i]
            found = lanes(0.0)
            for j in range(blocks):
                found += growth(get(row_x, j) + shift - get(cost, i * blocks + j))
            whole = _across(found)
            if not 1.0 / CERTAIN < whole < CERTAIN:
                shift = np.inf
                for j in range(n):
                    shift = min(shift, cost[i * blocks * WIDTH + j] - row_x[j])
                found = lanes(0.0)
                for j in range(blocks):
                    found += exp(get(row_x, j) + shift - get(cost, i * blocks + j))
                whole = _across(found)
            sums[row, i] = math.log(whole) - shift


@njit(nogil=True)
def soften_cost(x, y, cost, values, first, last):
    """Sum of cost_ij * e**(x_i + y_j - cost_ij) over all pairs, as `soften`."""
    blocks = cost.size // x.shape[1] // WIDTH
    row_y = np.full(blocks * WIDTH, -np.inf)
    for row in range(first, last):
        row_y[: y.shape[1]] = y[row]
        whole = lanes(0.0)
        for i in range(x.shape[1]):
            for j in range(blocks):
                price = get(cost, i * blocks + j)
                whole += price * growth(get(row_y, j) + x[row, i] - price)
        values[row] = _across(whole)
