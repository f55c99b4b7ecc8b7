"""The kernels of `emd`, its gradients, flows and logits: compiled for arrays, called for a range of rows.

Each takes eight rows at a time: one sweep of the space (`sweeps`), the status of the rows, then the answer is written.
None of them raises, and none holds the interpreter's lock. A bad row (NaN, infinite or negative mass, masses that
differ by more than `tolerance` times the larger) gets NaN as its value and all through its gradient.

Checking rows costs almost nothing. (1) The sweep ORs the sign bits. (2) The value gives a lower bound of the mass.
(3) Only where these do not suffice is the mass summed, and only then is the row read entry by entry.

Recurring arguments: `a`, `b`, rows of histograms with their columns side by side; `scale_a`, `scale_b`, a factor for
each row, or None for 1; `space`, the layout of a space; `rho`; `tolerance`; `values` (rows,) and `out` (rows, n or m),
to be written; `scratch`, a vector of eight float64 for each slot; `first`, `last`, the range of rows.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from ...formulas.edge import cost
from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ...formulas.mass import SMALLEST_MASS
from ..simd.blocks import affine, gather, load_block, multiply, one_hot, subtract
from ..simd.exp_log import exp
from ..simd.lanes import INLINE, WIDTH, Lanes, all_lanes, any_lane, lanes, load, no_lane, select, set_lane, store
from ..simd.rows import load_columns, load_lanes, rows, store_columns, store_lanes
from . import chain, ring, sweeps, tree  # noqa: F401  (they register their sweeps)

SCRATCH = types.float64[::1]


@njit(nogil=True)
def is_bad(a, b, row, tolerance):
    """Whether a row holds NaN, an infinity, a negative mass or too unequal masses, read entry by entry."""
    mass_a = mass_b = 0.0
    for i in range(a.shape[1]):
        if not (0.0 <= a[row, i] < np.inf and 0.0 <= b[row, i] < np.inf):
            return True
        mass_a += a[row, i]
        mass_b += b[row, i]
    return not abs(mass_a - mass_b) <= tolerance * max(mass_a, mass_b)


@njit(**INLINE)
def values_prove_equal_masses(space, rho, tolerance, total, balance):
    """Whether the values alone show that the masses of eight pairs of rows are equal enough.

    No unit of mass costs more than `space.max_distance`, so `total <= max_distance * mass**rho`. Masses whose
    difference would cost less than `tolerance**rho * total` over that distance thus differ by less than
    `tolerance * mass`.
    """
    return all_lanes((cost(balance, space.max_distance, rho) < tolerance**rho * total) | (balance == 0.0))


@njit(nogil=True)
def status_of_entries(a, b, row, last, tolerance, balance, negative):
    """Return 0 for a good row and NaN for a bad one: by the masses of a, then by the entries of each row."""
    row_status, mass = lanes(0.0), lanes(0.0)
    if not any_lane(negative):
        x = rows(a, row, last, None)
        for j in range(0, a.shape[1], WIDTH):
            block, _ = load_columns(x, j, a.shape[1])
            for part in block:
                mass += part
    if not all_lanes(abs(balance) < tolerance * mass):
        for k in range(WIDTH):
            if is_bad(a, b, min(row + k, last - 1), tolerance):
                row_status = set_lane(row_status, k, np.nan)
    return row_status


def validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative):
    """Return 0 for a good row and NaN for a bad one, from the results of the sweep.

    Where rows are divided by their mass, `inverse_masses` has validated them already: bad rows have the scale NaN.
    """


@overload(validate, jit_options=INLINE)
def _validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative):
    def plain(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative):
        if values_prove_equal_masses(space, rho, tolerance, total, balance) and not any_lane(negative):
            return lanes(0.0)
        return status_of_entries(a, b, row, last, tolerance, balance, negative)

    def scaled(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative):
        return 0.0 * (load_lanes(scale_a, row, last) + load_lanes(scale_b, row, last))

    return plain if isinstance(scale_a, types.NoneType) else scaled


@njit(**INLINE)
def write(out, row, last, scratch, slots, shift, factor):
    """Round (slot - shift) * factor into the rows of `out`; column i is in slot slots[i] of scratch."""
    n = out.shape[1]
    into = rows(out, row, last, None)
    for j in range(0, n, WIDTH):
        store_columns(into, j, n, affine(gather(scratch, slots, j), shift, factor))


@njit(**INLINE)
def expectation(x, scratch, slots, n):
    """The mean potential of the mass in the `Rows` x."""
    total = lanes(0.0)
    for j in range(0, n, WIDTH):
        block, _ = load_columns(x, j, n)
        for k, mass in enumerate(block):
            total += mass * load(scratch, slots[j + k])
    return total


@njit(nogil=True)
def inverse_masses(a, out, first, last):
    """1 / mass of each row; NaN where a row holds NaN, an infinity or a negative mass, or has no mass at all."""
    for row in range(first, last):
        mass = 0.0
        good = True
        for i in range(a.shape[1]):
            mass += a[row, i]
            good &= a[row, i] >= 0.0
        out[row] = 1.0 / mass if good and SMALLEST_MASS <= mass < np.inf else np.nan


@njit(nogil=True)
def value(a, b, scale_a, scale_b, space, rho, tolerance, values, scratch, first, last):
    """EMD_rho of each row."""
    for row in range(first, last, WIDTH):
        inputs = rows(a, row, last, scale_a), rows(b, row, last, scale_b)
        total, balance, negative = sweeps.value(inputs, space, rho, a.shape[1], scratch)
        row_status = validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative)
        store_lanes(values, row, last, total + row_status)


@njit(nogil=True)
def gradient(a, b, scale_a, scale_b, space, rho, tolerance, baseline, wrt, values, out, scratch, first, last):
    """EMD_rho and its gradient with respect to a or b, or the potential, as `baseline` and `wrt` say."""
    n = a.shape[1]
    for row in range(first, last, WIDTH):
        inputs = rows(a, row, last, scale_a), rows(b, row, last, scale_b)
        total, balance, negative, mean = sweeps.potential(inputs, space, rho, n, scratch)
        row_status = validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative)
        store_lanes(values, row, last, total + row_status)
        if baseline == CENTRED:
            shift = mean
        elif baseline == EXPECTED:
            shift = expectation(inputs[1] if wrt == WRT_B else inputs[0], scratch, space.bin_slot, n)
        else:
            shift = load(scratch, space.root_slot)
        factor = lanes(1.0)
        if wrt == WRT_A:
            factor = load_lanes(scale_a, row, last)
        elif wrt == WRT_B:
            factor = -load_lanes(scale_b, row, last)
        write(out, row, last, scratch, space.bin_slot, shift + row_status, factor)


@njit(nogil=True)
def flow(a, b, scale_a, scale_b, space, rho, tolerance, values, out, scratch, first, last):
    """EMD_rho and the flow of each edge."""
    for row in range(first, last, WIDTH):
        inputs = rows(a, row, last, scale_a), rows(b, row, last, scale_b)
        total, balance, negative = sweeps.flow(inputs, space, rho, a.shape[1], scratch)
        row_status = validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative)
        store_lanes(values, row, last, total + row_status)
        write(out, row, last, scratch, space.edge_slot, row_status, lanes(1.0))


@njit(nogil=True)
def length_gradient(a, b, scale_a, scale_b, space, rho, tolerance, values, out, scratch, first, last):
    """EMD_rho and its gradient with respect to the lengths: the cost of each flow on an edge of length 1."""
    for row in range(first, last, WIDTH):
        inputs = rows(a, row, last, scale_a), rows(b, row, last, scale_b)
        total, balance, negative = sweeps.flow(inputs, space, rho, a.shape[1], scratch)
        for e in range(space.slots):
            store(scratch, e, cost(load(scratch, e), 1.0, rho))
        row_status = validate(a, b, scale_a, scale_b, row, last, space, rho, tolerance, total, balance, negative)
        store_lanes(values, row, last, total + row_status)
        write(out, row, last, scratch, space.edge_slot, row_status, lanes(1.0))


@njit(**INLINE)
def softmax(x, n, exponentials):
    """Leave exp(x - max x) in the scratch `exponentials`, 0 from n on; return the factor by which it sums to 1."""
    top = lanes(-np.inf)
    for j in range(0, n, WIDTH):
        block, _ = load_columns(x, j, n)
        for k, logit in enumerate(block):
            store(exponentials, j + k, logit)
            if j + k < n:
                top = select(logit > top, logit, top)
    total = lanes(0.0)
    for j in range(0, n, WIDTH):
        for k, logit in enumerate(load_block(exponentials, j)):
            exponential = exp(logit - top) if j + k < n else lanes(0.0)
            store(exponentials, j + k, exponential)
            total += exponential
    return 1.0 / total


@njit(nogil=True)
def logits(z, target, scale_z, scale, space, rho, tolerance, values, out, scratch, first, last):
    """EMD_rho of p = softmax(z) against the target, and its gradient p * (f - sum(p * f)) with respect to z.

    The target is a vector of class indices or rows of histograms. Only eight rows of p exist at a time, in the second
    half of scratch. `scale_z` is None.
    """
    n = z.shape[1]
    exponentials = scratch[WIDTH * space.slots :]
    for row in range(first, last, WIDTH):
        factor = softmax(rows(z, row, last, None), n, exponentials)
        targets = targets_of(target, row, last, scale)
        total, balance, negative, _ = sweeps.potential((exponentials, factor, targets), space, rho, n, scratch)
        row_status = validate_target(target, row, last, tolerance, targets, n, balance, negative)
        store_lanes(values, row, last, total + row_status)
        dot = lanes(0.0)
        for i in range(n):
            dot += load(exponentials, i) * load(scratch, space.bin_slot[i])
        shift = row_status + dot * factor
        into = rows(out, row, last, None)
        for j in range(0, n, WIDTH):
            f = affine(gather(scratch, space.bin_slot, j), shift, factor)
            store_columns(into, j, n, multiply(affine(load_block(exponentials, j), lanes(0.0), lanes(1.0)), f))


@njit(nogil=True)
def logits_value(z, target, scale_z, scale, space, rho, tolerance, values, scratch, first, last):
    """EMD_rho of softmax(z) against the target, as `logits` has it."""
    n = z.shape[1]
    exponentials = scratch[WIDTH * space.slots :]
    for row in range(first, last, WIDTH):
        factor = softmax(rows(z, row, last, None), n, exponentials)
        targets = targets_of(target, row, last, scale)
        total, balance, negative = sweeps.value((exponentials, factor, targets), space, rho, n, scratch)
        row_status = validate_target(target, row, last, tolerance, targets, n, balance, negative)
        store_lanes(values, row, last, total + row_status)


@overload(sweeps.load_differences, jit_options=INLINE)
def _load_softmax_minus_target(inputs, j, n):
    """Load columns of p - target from inputs (exponentials, their factor, targets)."""
    if inputs[0] != SCRATCH:
        return None
    if inputs[2] == Lanes:
        return lambda inputs, j, n: (
            subtract(affine(load_block(inputs[0], j), lanes(0.0), inputs[1]), one_hot(inputs[2], j)),
            no_lane(),
        )

    def minus_rows(inputs, j, n):
        target, negative = load_columns(inputs[2], j, n)
        return subtract(affine(load_block(inputs[0], j), lanes(0.0), inputs[1]), target), negative

    return minus_rows


def targets_of(target, row, last, scale):
    """The targets of eight rows: their classes in lanes, or `Rows` of histograms."""


@overload(targets_of, jit_options=INLINE)
def _targets_of(target, row, last, scale):
    if target.ndim == 1:
        return lambda target, row, last, scale: load_lanes(target, row, last)
    return lambda target, row, last, scale: rows(target, row, last, scale)


@njit(nogil=True)
def is_nonnegative(x, row):
    """Whether no mass of the row is negative or NaN."""
    good = True
    for i in range(x.shape[1]):
        good &= x[row, i] >= 0.0
    return good


def validate_target(target, row, last, tolerance, targets, n, balance, negative):
    """Return 0 where the target is a class or a histogram of mass 1, NaN elsewhere."""


@overload(validate_target, jit_options=INLINE)
def _validate_target(target, row, last, tolerance, targets, n, balance, negative):
    def validate_classes(target, row, last, tolerance, targets, n, balance, negative):
        return select((targets >= 0.0) & (targets < n), 0.0, np.nan)

    def validate_rows(target, row, last, tolerance, targets, n, balance, negative):
        row_status = select(abs(balance) <= tolerance, 0.0, np.nan)
        if any_lane(negative):
            for k in range(WIDTH):
                if not is_nonnegative(target, min(row + k, last - 1)):
                    row_status = set_lane(row_status, k, np.nan)
        return row_status

    return validate_classes if targets == Lanes else validate_rows
