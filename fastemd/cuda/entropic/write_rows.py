"""The kernels that write the answers of a Sinkhorn problem: values, potentials and gradients; plans; divergences."""

import functools
import math
from typing import Any, NamedTuple

from ...problems import DEBIASED, LARGEST
from ..exact.kernels import matrix_row_address
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import thread_group
from .logsumexp import clamped_exp
from .solver import gibbs_kernel
from .state import (
    COUNT,
    EARLIER_COUNT,
    ERROR,
    GOOD,
    LOG_RATIO,
    MASS_A,
    MASS_B,
    PLAN_MASS,
    load,
    load_field,
    row_address,
)

COUNTS, FLAGS = format_of("int64"), format_of("uint8")


class SolutionAddresses(NamedTuple):
    """Addresses of the arrays of a `fastemd.problems.Solution`, and the number `first` of the launch's first row."""

    first: Any
    value: Any
    regularised: Any
    f: Any
    g: Any
    grad_a: Any
    grad_b: Any
    n_iter: Any
    error: Any
    converged: Any


@device
def row_status(state, row):
    """Return 0, or NaN for a bad row; it is added to all of the row's answers."""
    return 0.0 if load_field(state, GOOD, row) != 0.0 else math.nan


@device
def answer_masses(state, row, options):
    """Return the masses of a and b that the answers are for, and their geometric mean, the mass of R."""
    mass_a = mass_b = 1.0
    if options.normalized == 0:
        mass_a, mass_b = load_field(state, MASS_A, row), load_field(state, MASS_B, row)
    return mass_a, mass_b, math.sqrt(mass_a) * math.sqrt(mass_b)


def gradients(out, size):
    """Return the functions that sum what the answers of a side need, and that write its potential and gradient.

    `constant` is the part of an unbalanced gradient that is the same for all bins; `shift` centres a balanced one.
    """
    totals, write, word = thread_group(size, 1).sum_four, out.store, out.size

    @device
    def gradient(z, shift, reg, options, constant):
        """Return the gradient for a bin of potential z, before the row's division by its mass."""
        if options.unbalanced == 0.0:
            return z + shift
        return constant - (reg + options.unbalanced) * math.expm1(-z / options.unbalanced)

    @device
    def mean_potential(row, own, reg):
        potentials = row_address(own.potential, row, own.bins)
        total = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            total = intrinsics.plus(total, reg * load(potentials, i))
        total, _, _, _ = totals(total, 0.0, 0.0, 0.0)
        return total / own.bins

    @device
    def sums(row, own, shift, reg, options, constant):
        """Return the side's part of the dual value, and the mean of its gradient, by mass and over bins."""
        masses, potentials = row_address(own.mass, row, own.bins), row_address(own.potential, row, own.bins)
        dual = expectation = total = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            p, z = load(masses, i), reg * load(potentials, i)
            grad = gradient(z, shift, reg, options, constant)
            conjugate = grad if options.unbalanced == 0.0 else -math.expm1(-z / options.unbalanced)
            dual = intrinsics.plus(dual, p * conjugate)
            expectation = intrinsics.plus(expectation, p * grad)
            total = intrinsics.plus(total, grad)
        dual, expectation, total, _ = totals(dual, expectation, total, 0.0)
        return dual, expectation, total / own.bins

    @device
    def write_side(
        row, number, own, potential_out, grad_out, shift, reg, options, constant, expectation, mean, mass, status
    ):
        balanced = options.unbalanced == 0.0
        potentials = row_address(own.potential, row, own.bins)
        for i in range(cuda.threadIdx.x, own.bins, size):
            z = reg * load(potentials, i)
            offset = word * (number * own.bins + i)
            write(potential_out + offset, z + (shift if balanced else 0.0) + status)
            grad = gradient(z, shift, reg, options, constant)
            if balanced:
                grad -= mean
            elif options.normalized != 0:
                grad -= expectation
            if options.normalized != 0:
                grad /= mass
            write(grad_out + offset, grad + status)

    return mean_potential, sums, write_side


@functools.cache
def write_answers_kernel(form, size, name):
    """Return the kernel that writes all answers of a row but its plan, in the dtype of this name."""
    out = format_of(name)
    transport_cost, write, word = gibbs_kernel(form, size).transport_cost, out.store, out.size
    total = thread_group(size, 1).sum
    mean_potential, sums, write_side = gradients(out, size)

    @device
    def write_numbers(state, row, number, answers, value, regularised, tol, status):
        error = load_field(state, ERROR, row) + status
        write(answers.value + word * number, value + status)
        write(answers.regularised + word * number, regularised + status)
        n_iter = load_field(state, COUNT, row) + load_field(state, EARLIER_COUNT, row)
        COUNTS.store(answers.n_iter + 8 * number, n_iter)
        DOUBLE.store(answers.error + 8 * number, error)
        FLAGS.store(answers.converged + number, 1.0 if error <= tol else 0.0)

    @cuda.jit
    def write_answers(state, a, b, stage, cost, options, answers):
        row = types.int64(cuda.blockIdx.x)
        number = answers.first + row
        status = row_status(state, row)
        plan_ratio, reg = load_field(state, PLAN_MASS, row), stage.reg
        mass_a, mass_b, scale = answer_masses(state, row, options)
        unit_cost = 0.0
        if load_field(state, GOOD, row) != 0.0:
            unit_cost = total(transport_cost(state, row, a, b, stage, cost))
        value = scale * (unit_cost + options.least * plan_ratio * clamped_exp(-load_field(state, LOG_RATIO, row)))
        plan_mass = mass_a * plan_ratio
        constant_a = reg * ((scale + plan_mass) / (2.0 * mass_a) - 1.0)
        constant_b = reg * ((scale + plan_mass) / (2.0 * mass_b) - 1.0)
        shift = mean_potential(row, a, reg)
        dual_a, expectation_a, mean_a = sums(row, a, -shift, reg, options, constant_a)
        dual_b, expectation_b, mean_b = sums(row, b, shift, reg, options, constant_b)
        if options.unbalanced == 0.0:
            regularised = scale * (dual_a + dual_b - reg * (plan_ratio - 1.0))
        else:
            regularised = options.unbalanced * (mass_a * dual_a + mass_b * dual_b) - reg * (plan_mass - scale)
        own_a, own_b = load_field(state, MASS_A, row), load_field(state, MASS_B, row)
        f, g, grad_a, grad_b = answers.f, answers.g, answers.grad_a, answers.grad_b
        write_side(row, number, a, f, grad_a, -shift, reg, options, constant_a, expectation_a, mean_a, own_a, status)
        write_side(row, number, b, g, grad_b, shift, reg, options, constant_b, expectation_b, mean_b, own_b, status)
        if cuda.threadIdx.x == 0:
            write_numbers(state, row, number, answers, value, regularised, stage.tol, status)

    return write_answers


@functools.cache
def write_plans_kernel(name):
    """Return the kernel that writes plans in the dtype of this name, `blocks_per_row` blocks to a row."""
    out = format_of(name)
    write, word = out.store, out.size

    @cuda.jit
    def write_plans(state, a, b, stage, options, cost, first, plans, blocks_per_row):
        block = types.int64(cuda.blockIdx.x)
        row = block // blocks_per_row
        status = row_status(state, row)
        _, _, scale = answer_masses(state, row, options)
        plan = plans + word * (first + row) * a.bins * b.bins
        entry = (block - row * blocks_per_row) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < a.bins * b.bins:
            i = entry // b.bins
            j = entry - i * b.bins
            p, q = load(row_address(a.mass, row, a.bins), i), load(row_address(b.mass, row, b.bins), j)
            exponent = load(row_address(a.potential, row, a.bins), i) + load(row_address(b.potential, row, b.bins), j)
            exponent -= load(cost, entry) / stage.reg
            write(plan + word * entry, scale * p * clamped_exp(exponent) * q + status)
            entry += blocks_per_row * cuda.blockDim.x

    return write_plans


@functools.cache
def combine_kernel(names, how):
    """Return the kernel of `launch.combine`: it makes one matrix of three, of dtypes with these names."""
    (read_x, read_y, read_z), out = (format_of(name).load for name in names[:3]), format_of(names[3])
    write, word = out.store, out.size

    @cuda.jit
    def combine(rows, inner, columns, x, y, z, out):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < rows * columns:
            row = entry // columns
            j = entry - row * columns
            p = read_x(matrix_row_address(x, row, rows, inner) + x[3] * j)
            q = read_y(matrix_row_address(y, row, rows, inner) + y[3] * j)
            r = read_z(matrix_row_address(z, row, rows, inner) + z[3] * j)
            if how == DEBIASED:
                p -= 0.5 * (q + r)
            elif how == LARGEST:
                p = p if not p < q else q
                p = p if not p < r else r
            else:
                p = p if not q < p else q
                p = p if not r < p else r
            write(out + word * entry, p)
            entry += types.int64(cuda.gridDim.x) * cuda.blockDim.x

    return combine
