"""The kernels of long rows on a chain: the lanes lie along one row, which is cut into pieces.

Eight rows side by side need eight rows, and a place for all their bins until the mean potential is known. Where rows
are long, one fills the registers: 64 neighbouring bins a block, eight in each lane. The gradient is written in a second
sweep, which computes the flow anew, so nothing is kept but some sums of each piece of `PIECE` bins, and a row of 20
million bins takes some kilobytes of scratch.

A row's pieces follow from n alone, and each sum from its piece and from the sums of the pieces before it. So the answer
has the same bits whether one thread sweeps a row from end to end, or several share its pieces (`sums`, `slope_sums`,
`write_gradient`).

`summary` has `FIELDS` numbers for each piece of a row: the sums over the piece of a - b, of the costs, of the
slopes, and of the slopes times the number of bins behind; and whether an entry is negative. Recurring arguments are
those of `fastemd.cpu.exact.kernels`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload

from ...formulas.edge import cost, slope
from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..layouts import padded
from ..simd.along import (
    BLOCK,
    differences_along,
    first_lane,
    in_lanes,
    load_along,
    moved_by_one,
    prefix_sums,
    run_starts,
    store_along,
    sum_of_lanes,
)
from ..simd.blocks import affine, multiply
from ..simd.lanes import INLINE, WIDTH, any_lane, lanes, load, no_lane
from .kernels import is_bad, values_prove_equal_masses

PIECE = 1 << 14  # bins
FIELDS = 5
BALANCE, COST, SLOPE, MOMENT, NEGATIVE = range(FIELDS)


class LongChain(NamedTuple):
    """The length of the edge after each bin, in the order of lanes, and how far apart two bins are at most.

    Where lengths do not vary, `length` has those of one block, and those of the last block, which ends the chain.
    """

    length: np.ndarray
    max_distance: float
    varies: bool


def prepare(arrays, n):
    """Return the layout."""
    length = arrays.length
    varies = bool((length[1:] != length[:-1]).any())
    last = in_lanes(np.append(length[(n - 1) // BLOCK * BLOCK :], 0.0))
    rest = in_lanes(length[: (n - 1) // BLOCK * BLOCK] if varies else padded(length[:BLOCK], BLOCK))
    return LongChain(np.concatenate([rest, last]), float(length.sum()), varies)


def factor(scale, row):
    """The factor of a row; None for 1."""


@overload(factor, jit_options=INLINE)
def _factor(scale, row):
    if isinstance(scale, types.NoneType):
        return lambda scale, row: None
    return lambda scale, row: scale[row]


@njit(**INLINE)
def sum_before(summary, piece, field):
    """The sum of a field over the pieces before one."""
    total = 0.0
    for p in range(piece):
        total += summary[p * FIELDS + field]
    return total


@njit(**INLINE)
def range_of(piece, n):
    """The columns of a piece, in steps of a block."""
    return range(piece * PIECE, min((piece + 1) * PIECE, n), BLOCK)


@njit(**INLINE)
def sum_of_block(block):
    """The sum of the eight columns of a block, in lanes."""
    total = lanes(0.0)
    for column in block:
        total += column
    return total


@njit(**INLINE)
def first_slot(space, j, n):
    """Where the lengths of a block begin in `space.length`: all blocks but the last share theirs if all are equal."""
    if space.varies:
        return j // WIDTH
    return 0 if j + BLOCK < n else WIDTH


@njit(**INLINE)
def slopes(phi, lengths, slot, rho):
    """The slopes of the edges of a block."""
    return (
        slope(phi[0], load(lengths, slot), rho),
        slope(phi[1], load(lengths, slot + 1), rho),
        slope(phi[2], load(lengths, slot + 2), rho),
        slope(phi[3], load(lengths, slot + 3), rho),
        slope(phi[4], load(lengths, slot + 4), rho),
        slope(phi[5], load(lengths, slot + 5), rho),
        slope(phi[6], load(lengths, slot + 6), rho),
        slope(phi[7], load(lengths, slot + 7), rho),
    )


@njit(**INLINE)
def unit_costs(phi, rho):
    """The costs of the flows of a block on edges of length 1."""
    return (
        cost(phi[0], 1.0, rho),
        cost(phi[1], 1.0, rho),
        cost(phi[2], 1.0, rho),
        cost(phi[3], 1.0, rho),
        cost(phi[4], 1.0, rho),
        cost(phi[5], 1.0, rho),
        cost(phi[6], 1.0, rho),
        cost(phi[7], 1.0, rho),
    )


@njit(**INLINE)
def sweep_piece(a, b, scale_a, scale_b, space, rho, out, summary, row, piece, consumer, start):
    """Leave the sums of a piece in the summary, and pass the flow of each block to a consumer.

    `consumer(state, phi, space, rho, out, row, j, n)` returns the state after a block; the last is returned.
    """
    n = a.shape[1]
    before = lanes(sum_before(summary, piece, BALANCE))
    balance = total = lanes(0.0)
    negative = no_lane()
    state = start
    for j in range_of(piece, n):
        block, signs = differences_along(a, b, factor(scale_a, row), factor(scale_b, row), row, j, n)
        negative |= signs
        phi, gain = prefix_sums(block, before)
        before += gain
        balance += gain
        slot = first_slot(space, j, n)
        for k, each in enumerate(phi):
            total += cost(each, load(space.length, slot + k), rho)
        state = consumer(state, phi, space, rho, out, row, j, n)
    at = piece * FIELDS
    summary[at + BALANCE] = first_lane(balance)
    summary[at + COST] = sum_of_lanes(total)
    summary[at + NEGATIVE] = 1.0 if any_lane(negative) else 0.0
    return state


@njit(**INLINE)
def no_answer(state, phi, space, rho, out, row, j, n):
    """Nothing but the value is wanted."""
    return state


@njit(**INLINE)
def sum_slopes(state, phi, space, rho, out, row, j, n):
    """The sums of the slopes, and of the slopes times the number of bins behind their edges."""
    total, moment, behind = state
    slot = first_slot(space, j, n)
    for k, each in enumerate(phi):
        steepness = slope(each, load(space.length, slot + k), rho)
        total += steepness
        moment += steepness * (behind - float(k))
    return total, moment, behind - float(BLOCK)


@njit(**INLINE)
def store_flow(state, phi, space, rho, out, row, j, n):
    """Write the flow."""
    store_along(out, row, j, out.shape[1], phi)
    return state


@njit(**INLINE)
def store_length_gradient(state, phi, space, rho, out, row, j, n):
    """Write the cost of the flow on edges of length 1."""
    store_along(out, row, j, out.shape[1], unit_costs(phi, rho))
    return state


@njit(**INLINE)
def sweep_slopes(a, b, scale_a, scale_b, space, rho, summary, row, piece):
    """Leave the sums of a piece, those of the slopes too, in the summary."""
    behind = (a.shape[1] - 1.0 - piece * PIECE) - run_starts()
    start = lanes(0.0), lanes(0.0), behind
    total, moment, _ = sweep_piece(a, b, scale_a, scale_b, space, rho, None, summary, row, piece, sum_slopes, start)
    summary[piece * FIELDS + SLOPE] = sum_of_lanes(total)
    summary[piece * FIELDS + MOMENT] = sum_of_lanes(moment)


@njit(nogil=True)
def status_of_row(a, b, row, tolerance, balance, negative):
    """Return 0 for a good row and NaN for a bad one: by the mass of a, then by the entries."""
    if negative == 0.0:
        mass = lanes(0.0)
        for j in range(0, a.shape[1], BLOCK):
            mass += sum_of_block(load_along(a, None, row, j, a.shape[1]))
        if abs(balance) < tolerance * sum_of_lanes(mass):
            return 0.0
    return np.nan if is_bad(a, b, row, tolerance) else 0.0


@njit(**INLINE)
def finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces):
    """Write the value of a row; return its status, 0 or NaN."""
    balance, total = sum_before(summary, pieces, BALANCE), sum_before(summary, pieces, COST)
    negative = sum_before(summary, pieces, NEGATIVE)
    if scale_a is not None:
        row_status = 0.0 * (scale_a[row] + scale_b[row])
    elif negative == 0.0 and values_prove_equal_masses(space, rho, tolerance, lanes(total), lanes(balance)):
        row_status = 0.0
    else:
        row_status = status_of_row(a, b, row, tolerance, balance, negative)
    values[row] = total + row_status
    return row_status


@njit(**INLINE)
def potentials(block, before, f, space, rho, j, n):
    """The potential of each bin of a block, from what flows into it and its first potential; both behind it."""
    phi, gain = prefix_sums(block, before)
    sums, fall = prefix_sums(slopes(phi, space.length, first_slot(space, j, n), rho), lanes(0.0))
    return subtracted(moved_by_one(sums), f), before + gain, f - fall


@njit(**INLINE)
def subtracted(x, y):
    """The columns of a block, each taken from y."""
    return y - x[0], y - x[1], y - x[2], y - x[3], y - x[4], y - x[5], y - x[6], y - x[7]


@njit(**INLINE)
def write_piece(a, b, scale_a, scale_b, space, rho, shift, factor_, out, summary, row, piece):
    """Write (f - shift) * factor of a piece, whose flow is computed anew."""
    n = a.shape[1]
    before, f = lanes(sum_before(summary, piece, BALANCE)), lanes(-sum_before(summary, piece, SLOPE))
    for j in range_of(piece, n):
        block, _ = differences_along(a, b, factor(scale_a, row), factor(scale_b, row), row, j, n)
        potential, before, f = potentials(block, before, f, space, rho, j, n)
        store_along(out, row, j, n, affine(potential, lanes(shift), lanes(factor_)))


@njit(**INLINE)
def expectation(a, b, scale_a, scale_b, space, rho, wrt, summary, row, pieces):
    """The mean potential of the mass of a, or of b."""
    n = a.shape[1]
    factor_a, factor_b = factor(scale_a, row), factor(scale_b, row)
    total = 0.0
    for piece in range(pieces):
        before, f = lanes(sum_before(summary, piece, BALANCE)), lanes(-sum_before(summary, piece, SLOPE))
        dot = lanes(0.0)
        for j in range_of(piece, n):
            block, _ = differences_along(a, b, factor_a, factor_b, row, j, n)
            potential, before, f = potentials(block, before, f, space, rho, j, n)
            masses = load_along(b, factor_b, row, j, n) if wrt == WRT_B else load_along(a, factor_a, row, j, n)
            dot += sum_of_block(multiply(masses, potential))
        total += sum_of_lanes(dot)
    return total


@njit(**INLINE)
def shift_of(a, b, scale_a, scale_b, space, rho, baseline, wrt, summary, row, pieces):
    """What is taken from the potential of a row, which is 0 at the first bin."""
    if baseline == CENTRED:
        return -sum_before(summary, pieces, MOMENT) / a.shape[1]
    if baseline == EXPECTED:
        return expectation(a, b, scale_a, scale_b, space, rho, wrt, summary, row, pieces)
    return -sum_before(summary, pieces, SLOPE)


@njit(**INLINE)
def factor_of(scale_a, scale_b, row, wrt):
    """By what the potential of a row is multiplied."""
    if wrt == WRT_A:
        return 1.0 if scale_a is None else scale_a[row]
    if wrt == WRT_B:
        return -1.0 if scale_b is None else -scale_b[row]
    return 1.0


@njit(**INLINE)
def fill(out, row, number):
    """Write one number all through a row."""
    for i in range(out.shape[1]):
        out[row, i] = number


@njit(nogil=True)
def value(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, first, last):
    """EMD_rho of each row."""
    pieces = -(-a.shape[1] // PIECE)
    for row in range(first, last):
        for piece in range(pieces):
            sweep_piece(a, b, scale_a, scale_b, space, rho, None, summary, row, piece, no_answer, None)
        finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces)


@njit(nogil=True)
def gradient(a, b, scale_a, scale_b, space, rho, tolerance, baseline, wrt, values, out, summary, first, last):
    """EMD_rho and its gradient with respect to a or b, or the potential, as `baseline` and `wrt` say."""
    pieces = -(-a.shape[1] // PIECE)
    for row in range(first, last):
        for piece in range(pieces):
            sweep_slopes(a, b, scale_a, scale_b, space, rho, summary, row, piece)
        row_status = finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces)
        shift = shift_of(a, b, scale_a, scale_b, space, rho, baseline, wrt, summary, row, pieces) + row_status
        sign = factor_of(scale_a, scale_b, row, wrt)
        for piece in range(pieces):
            write_piece(a, b, scale_a, scale_b, space, rho, shift, sign, out, summary, row, piece)


@njit(nogil=True)
def sums(a, b, scale_a, scale_b, summary, row, first, last):
    """Leave the sums of a - b over some pieces of a row in the summary: where threads share a row, the first pass."""
    for piece in range(first, last):
        balance = lanes(0.0)
        for j in range_of(piece, a.shape[1]):
            block, _ = differences_along(a, b, factor(scale_a, row), factor(scale_b, row), row, j, a.shape[1])
            balance += prefix_sums(block, balance)[1]
        summary[piece * FIELDS + BALANCE] = first_lane(balance)


@njit(nogil=True)
def slope_sums(a, b, scale_a, scale_b, space, rho, summary, row, first, last):
    """Leave all sums of some pieces in the summary: where threads share a row, the second pass."""
    for piece in range(first, last):
        sweep_slopes(a, b, scale_a, scale_b, space, rho, summary, row, piece)


@njit(nogil=True)
def write_gradient(
    a, b, scale_a, scale_b, space, rho, tolerance, baseline, wrt, values, out, summary, row, first, last
):
    """Write the gradient of some pieces of a row, and its value: where threads share a row, the third pass."""
    pieces = -(-a.shape[1] // PIECE)
    row_status = finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces)
    shift = shift_of(a, b, scale_a, scale_b, space, rho, baseline, wrt, summary, row, pieces) + row_status
    sign = factor_of(scale_a, scale_b, row, wrt)
    for piece in range(first, last):
        write_piece(a, b, scale_a, scale_b, space, rho, shift, sign, out, summary, row, piece)


@njit(nogil=True)
def flow(a, b, scale_a, scale_b, space, rho, tolerance, values, out, summary, first, last):
    """EMD_rho and the flow of each edge."""
    pieces = -(-a.shape[1] // PIECE)
    for row in range(first, last):
        for piece in range(pieces):
            sweep_piece(a, b, scale_a, scale_b, space, rho, out, summary, row, piece, store_flow, None)
        if finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces) != 0.0:
            fill(out, row, np.nan)


@njit(nogil=True)
def length_gradient(a, b, scale_a, scale_b, space, rho, tolerance, values, out, summary, first, last):
    """EMD_rho and its gradient with respect to the lengths."""
    pieces = -(-a.shape[1] // PIECE)
    for row in range(first, last):
        for piece in range(pieces):
            sweep_piece(a, b, scale_a, scale_b, space, rho, out, summary, row, piece, store_length_gradient, None)
        if finish(a, b, scale_a, scale_b, space, rho, tolerance, values, summary, row, pieces) != 0.0:
            fill(out, row, np.nan)
