"""Sinkhorn's iteration on a device: a launch takes each row some iterations further, until it has converged.

A block has a few rows (`fastemd.cuda.entropic.matrix`; one, on a space). An iteration is a half step for b and one for
a: sums over the other side's bins, then new potentials. Before the step for a, the marginal error of the plan is known;
it decides whether the row has converged, and sets its over-relaxation (`fastemd.formulas.over_relaxation`). Rows that
have converged stay as they are; a block of such rows returns at once. All state is in device memory between launches.
"""

import functools
import math

from ...formulas import over_relaxation
from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from ..primitives.thread_group import thread_group
from . import chain, matrix, ring, tree
from .logsumexp import clamped_exp, logarithm
from .state import (
    COUNT,
    ERROR,
    ERROR_LIMIT,
    LARGEST_OMEGA,
    LOG_RATIO,
    OMEGA,
    PLAN_MASS,
    SPEED,
    START_ERROR,
    WINDOW,
    WINDOW_START,
    load,
    load_field,
    row_address,
    store,
    store_field,
    weights_of,
)

# A launch that continues a stage; or the first of a stage, whose potentials are zero, or worth validating.
CONTINUE, COLD_START, WARM_START = 0, 1, 2

SPACES = {"chain": chain, "ring": ring, "tree": tree}

adapt = device(over_relaxation.adapt)


def gibbs_kernel(form, size):
    """Return the `matrix.GibbsKernel` of a form of a matrix, or of a kind of space."""
    return of_space(form, size) if form in SPACES else matrix.build(form, size)


def of_space(kind, size):
    """Return the `matrix.GibbsKernel` of a space, one row to a block."""
    sweeps = SPACES[kind].build(size)

    @device
    def log_sums(state, base, count, own, other, options, cost):
        x, inverse_reg = weights_of(other, base), 1.0 / options.reg
        sums, scratch = row_address(state.sums, base, state.width), row_address(state.scratch, base, state.slots)
        sweeps.apply_kernel(x, sums, other.bins, cost, inverse_reg, scratch)

    @device
    def transport_cost(state, row, a, b, options, cost):
        x, y, inverse_reg = weights_of(a, row), weights_of(b, row), 1.0 / options.reg
        sums, scratch = row_address(state.sums, row, state.width), row_address(state.scratch, row, state.slots)
        return sweeps.transport_cost(x, y, sums, a.bins, cost, inverse_reg, scratch)

    return matrix.GibbsKernel(rows=1, log_sums=log_sums, transport_cost=transport_cost)


def updates(size):
    """Return the functions that measure a row's marginal and update its potentials.

    `fastemd.cpu.entropic.kernels.update` has the formulas. `offset` is added to ln of the sums: the log ratio
    of the masses, less the smallest cost over reg.
    """
    totals = thread_group(size, 1).sum_four

    @device
    def measure(state, row, own, offset, damping, share):
        sums = row_address(state.sums, row, state.width)
        masses, potentials = row_address(own.mass, row, own.bins), row_address(own.potential, row, own.bins)
        error = plan_mass = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            f, mass = load(potentials, i), load(masses, i)
            log_excess = load(sums, i) + offset + (1.0 + damping) * f  # ln of (marginal of the plan / wanted marginal)
            if damping > 0.0:
                mass *= clamped_exp(-damping * f)
            error = intrinsics.plus(error, mass * abs(clamped_exp(share * log_excess) - 1.0))
            plan_mass = intrinsics.plus(plan_mass, mass * clamped_exp(log_excess))
        error, plan_mass, _, _ = totals(error, plan_mass, 0.0, 0.0)
        return error, plan_mass

    @device
    def update(state, row, own, offset, damping, omega):
        sums = row_address(state.sums, row, state.width)
        log_masses, potentials = row_address(own.log_mass, row, own.bins), row_address(own.potential, row, own.bins)
        for i in range(cuda.threadIdx.x, own.bins, size):
            f = load(potentials, i)
            # An empty bin adds nothing to the error: its potential just follows from the others'.
            step = 1.0 if load(log_masses, i) == -math.inf else omega
            log_excess = load(sums, i) + offset + (1.0 + damping) * f
            store(potentials, i, f - step * (log_excess / (1.0 + damping)))

    @device
    def damped_mass(row, side, damping):
        mass = 0.0
        for i in range(cuda.threadIdx.x, side.bins, size):
            entry = row * side.bins + i
            mass = intrinsics.plus(mass, load(side.mass, entry) * clamped_exp(-damping * load(side.potential, entry)))
        return mass

    @device
    def translate(row, a, b, log_ratio, damping):
        """Replace (f, g) by (f + c, g - c) with the optimal constant c; see `fastemd.cpu.entropic.solver`.

        The step for b, which comes next, follows from f alone, so only f is stored.
        """
        mass_a, mass_b, _, _ = totals(damped_mass(row, a, damping), damped_mass(row, b, damping), 0.0, 0.0)
        shift = (logarithm(mass_a) - logarithm(mass_b) - 2.0 * log_ratio) / (2.0 * damping)
        for i in range(cuda.threadIdx.x, a.bins, size):
            entry = row * a.bins + i
            store(a.potential, entry, load(a.potential, entry) + shift)

    return measure, update, translate


@device
def adapt_omega(state, row, count, error, omega):
    """Update a row's over-relaxation after an iteration."""
    omega, start, window, start_error, speed, error_limit, largest_omega = adapt(
        count,
        error,
        omega,
        load_field(state, WINDOW_START, row),
        load_field(state, WINDOW, row),
        load_field(state, START_ERROR, row),
        load_field(state, SPEED, row),
        load_field(state, ERROR_LIMIT, row),
        load_field(state, LARGEST_OMEGA, row),
    )
    store_field(state, OMEGA, row, omega)
    store_field(state, WINDOW_START, row, start)
    store_field(state, WINDOW, row, window)
    store_field(state, START_ERROR, row, start_error)
    store_field(state, SPEED, row, speed)
    store_field(state, ERROR_LIMIT, row, error_limit)
    store_field(state, LARGEST_OMEGA, row, largest_omega)


@device
def any_moving(state, base, count):
    """Return whether a row of a block has not converged."""
    moving = False
    for r in range(count):
        moving = moving or load_field(state, OMEGA, base + r) != 0.0
    return moving


def half_step(size, same):
    """Return the function that ends a half step: marginal error, convergence, potentials, over-relaxation."""
    measure, update, translate = updates(size)

    @device
    def store_iteration(state, row, options, error, plan_mass, omega, count, converged):
        store_field(state, PLAN_MASS, row, plan_mass)
        if converged:
            store_field(state, OMEGA, row, 0.0)
        else:
            store_field(state, COUNT, row, count + 1.0)
            if not same and options.damping == 0.0:
                adapt_omega(state, row, count, error, omega)

    @device
    def step(state, row, own, a, b, options, for_a, omega):
        count, log_ratio = load_field(state, COUNT, row), load_field(state, LOG_RATIO, row)
        offset = (log_ratio if for_a else -log_ratio) - options.least_over_reg
        error = plan_mass = 0.0
        if for_a or omega != 1.0:
            error, plan_mass = measure(state, row, own, offset, options.damping, 1.0 if for_a else 1.0 - omega)
        converged = False
        if for_a:
            # Under a symmetric cost, the two marginals of equal histograms have the same error.
            error = 2.0 * error if same else load_field(state, ERROR, row) + error
            converged = error <= options.tol or count >= options.max_iter
        update(state, row, own, offset, options.damping, 0.0 if converged else omega)
        if for_a and options.damping > 0.0 and not converged:
            translate(row, a, b, log_ratio, options.damping)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            store_field(state, ERROR, row, error)
            if for_a:
                store_iteration(state, row, options, error, plan_mass, omega, count, converged)

    return step


@functools.cache
def build(form, size, same):
    """Return the kernel of a form for blocks of `size` threads. `same`: for equal histograms, which share a potential.

    The code has one half step for both sides: two would take twice the registers.
    """
    kernel, step = gibbs_kernel(form, size), half_step(size, same)
    rows, log_sums = kernel.rows, kernel.log_sums

    @cuda.jit
    def iterate(state, a, b, options, cost, iterations, start):
        base = types.int64(cuda.blockIdx.x) * rows
        count = min(rows, state.rows - base)
        for turn in range(2 * iterations):
            for_a = turn & 1 == 1
            if not for_a:
                if not any_moving(state, base, count):
                    break
                if same or (turn == 0 and start == COLD_START):
                    continue
            own, other = (a, b) if for_a else (b, a)
            log_sums(state, base, count, own, other, options, cost)
            for r in range(count):
                omega = load_field(state, OMEGA, base + r)
                if omega != 0.0:
                    only_measured = turn == 0 and start == WARM_START
                    step(state, base + r, own, a, b, options, for_a, 0.0 if only_measured else omega)
            cuda.syncthreads()

    return iterate
