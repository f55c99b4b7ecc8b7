"""The kernels that answer for rows of entropic transport: values, potentials and gradients; plans; differences."""

import functools
import math
from typing import Any, NamedTuple

from ...problems import DEBIASED, LARGEST
from ..exact.kernels import start_of
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import team
from .logsumexp import growth
from .solver import sums_of
from .state import CARRIED, COUNT, EARLIER, ERROR, GOOD, LEAD, MASS_A, MASS_B, at, told

COUNTS, FLAGS = format_of("int64"), format_of("uint8")


class Answers(NamedTuple):
    """Addresses of what a row is answered with, of all rows side by side, and the number of the launch's first row."""

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
def masses_of(room, row, price):
    """The masses that answers are for, and their geometric mean, the mass of R."""
    mass_a = mass_b = 1.0
    if price.normalized == 0:
        mass_a, mass_b = told(room, MASS_A, row), told(room, MASS_B, row)
    return mass_a, mass_b, math.sqrt(mass_a) * math.sqrt(mass_b)


def gradients(out, size):
    """The functions that add up what a side's gradient is made of, and that write its potential and gradient."""
    totals, write, word = team(size, 1).totals, out.write, out.size

    @device
    def gain(z, shift, reg, price, base):
        """The gradient for a bin of potential z, before that of the division by the mass."""
        if price.unbalanced == 0.0:
            return z + shift
        return base - (reg + price.unbalanced) * math.expm1(-z / price.unbalanced)

    @device
    def mean(row, own, reg):
        found = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            found = intrinsics.plus(found, reg * DOUBLE.read(at(own.pot, row, own.bins) + 8 * i))
        found, _, _, _ = totals(found, 0.0, 0.0, 0.0)
        return found / own.bins

    @device
    def add_up(row, own, shift, reg, price, base):
        """The potential's part of the value, and the mean of the gains, by the mass and by bins."""
        worth = dot = whole = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            place = 8 * (row * own.bins + i)
            p, z = DOUBLE.read(own.mass + place), reg * DOUBLE.read(own.pot + place)
            found = gain(z, shift, reg, price, base)
            part = found if price.unbalanced == 0.0 else -math.expm1(-z / price.unbalanced)
            worth = intrinsics.plus(worth, p * part)
            dot = intrinsics.plus(dot, p * found)
            whole = intrinsics.plus(whole, found)
        worth, dot, whole, _ = totals(worth, dot, whole, 0.0)
        return worth, dot, whole / own.bins

    @device
    def write_side(row, number, own, pots, grads, shift, reg, price, base, dot, mean, mass, verdict):
        balanced = price.unbalanced == 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            z = reg * DOUBLE.read(own.pot + 8 * (row * own.bins + i))
            place = word * (number * own.bins + i)
            write(pots + place, z + (shift if balanced else 0.0) + verdict)
            found = gain(z, shift, reg, price, base)
            if balanced:
                found -= mean
            elif price.normalized != 0:
                found -= dot
            if price.normalized != 0:
                found /= mass
            write(grads + place, found + verdict)

    return mean, add_up, write_side


@functools.cache
def concluding(form, size, name):
    """The kernel that writes a row's answers in a dtype."""
    out = format_of(name)
    cost_of, write, word, total = sums_of(form, size).cost, out.write, out.size, team(size, 1).total
    mean_of, add_up, write_side = gradients(out, size)

    @device
    def conclude(room, row, number, answers, value, regularised, tol, verdict):
        error = told(room, ERROR, row) + verdict
        write(answers.value + word * number, value + verdict)
        write(answers.regularised + word * number, regularised + verdict)
        COUNTS.write(answers.n_iter + 8 * number, told(room, COUNT, row) + told(room, EARLIER, row))
        DOUBLE.write(answers.error + 8 * number, error)
        FLAGS.write(answers.converged + number, 1.0 if error <= tol else 0.0)

    @cuda.jit
    def concludes(room, a, b, law, ground, price, answers):
        row = types.int64(cuda.blockIdx.x)
        number = answers.first + row
        good = told(room, GOOD, row) != 0.0
        verdict = 0.0 if good else math.nan
        carried, reg = told(room, CARRIED, row), law.reg
        mass_a, mass_b, scale = masses_of(room, row, price)
        cost = 0.0
        if good:
            cost = total(cost_of(room, row, a, b, law, ground))
        value = scale * (cost + price.least * carried * growth(-told(room, LEAD, row)))
        plan = mass_a * carried
        base_a = reg * ((scale + plan) / (2.0 * mass_a) - 1.0)
        base_b = reg * ((scale + plan) / (2.0 * mass_b) - 1.0)
        shift = mean_of(row, a, reg)
        worth_a, dot_a, mean_a = add_up(row, a, -shift, reg, price, base_a)
        worth_b, dot_b, mean_b = add_up(row, b, shift, reg, price, base_b)
        if price.unbalanced == 0.0:
            regularised = scale * (worth_a + worth_b - reg * (carried - 1.0))
        else:
            regularised = price.unbalanced * (mass_a * worth_a + mass_b * worth_b) - reg * (plan - scale)
        held_a, held_b = told(room, MASS_A, row), told(room, MASS_B, row)
        write_side(
            row, number, a, answers.f, answers.grad_a, -shift, reg, price, base_a, dot_a, mean_a, held_a, verdict
        )
        write_side(row, number, b, answers.g, answers.grad_b, shift, reg, price, base_b, dot_b, mean_b, held_b, verdict)
        if cuda.threadIdx.x == 0:
            conclude(room, row, number, answers, value, regularised, law.tol, verdict)

    return concludes


@functools.cache
def planning(name):
    """The kernel that writes plans in a dtype, `across` blocks to a row."""
    out = format_of(name)
    write, word = out.write, out.size

    @cuda.jit
    def plans(room, a, b, law, price, cost, first, plan, across):
        block = types.int64(cuda.blockIdx.x)
        row = block // across
        verdict = 0.0 if told(room, GOOD, row) != 0.0 else math.nan
        _, _, scale = masses_of(room, row, price)
        begins = plan + word * (first + row) * a.bins * b.bins
        entry = (block - row * across) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < a.bins * b.bins:
            i = entry // b.bins
            j = entry - i * b.bins
            p, q = DOUBLE.read(at(a.mass, row, a.bins) + 8 * i), DOUBLE.read(at(b.mass, row, b.bins) + 8 * j)
            exponent = DOUBLE.read(at(a.pot, row, a.bins) + 8 * i) + DOUBLE.read(at(b.pot, row, b.bins) + 8 * j)
            exponent -= DOUBLE.read(cost + 8 * entry) / law.reg
            write(begins + word * entry, scale * p * growth(exponent) * q + verdict)
            entry += across * cuda.blockDim.x

    return plans


@functools.cache
def combining(names, how):
    """The kernel that makes one matrix of three, of dtypes so named: x - (y + z) / 2, the largest, or the least."""
    (read_x, read_y, read_z), out = (format_of(name).read for name in names[:3]), format_of(names[3])
    write, word = out.write, out.size

    @cuda.jit
    def combines(rows, inner, columns, x, y, z, out):
        entry = types.int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x
        while entry < rows * columns:
            row = entry // columns
            j = entry - row * columns
            p = read_x(start_of(x, row, rows, inner) + x[3] * j)
            q = read_y(start_of(y, row, rows, inner) + y[3] * j)
            r = read_z(start_of(z, row, rows, inner) + z[3] * j)
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

    return combines
