"""The kernels with one thread group to a row: a sweep of the space, the row's status, the answers.

A kernel raises nothing. The value and the gradient of a bad row are NaN: one with NaN, infinite or negative mass, or
with masses that differ by more than `tolerance` times the larger.

All kernels take

    rows, inner         row r of a matrix is row r % inner of group r // inner
    n                   bins
    m                   columns of `out`
    x, y, out           matrices: the address, and the bytes between groups, between rows, and between columns
    values              the address of a contiguous vector
    space               the `Layout` of the space
    rho, tolerance
    slots, workspace    float64 slots of scratch of a row, and their address where they are in global memory
"""

import functools
import math
from typing import Any, NamedTuple

from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.thread_group import REDUCTION_SLOTS
from . import differences
from .consumers import expected_potential, store_flows, store_logits_gradient, store_potentials
from .sweeps import Row


class Case(NamedTuple):
    """What a kernel is compiled for.

    kernel : "value", "gradient", "flow", "length_gradient" or "logits"
    literal : rho where it is 1 or 2, else 0
    x, y, out : names of dtypes
    classes : whether y holds class indices
    normalized : whether x, and whether y, is divided by its mass
    flags : baseline and wrt of a gradient (`fastemd.formulas.gradient`), else empty
    """

    kernel: str
    literal: float
    x: str
    y: str
    out: str
    classes: bool
    normalized: tuple[bool, bool]
    flags: tuple[Any, ...]


@device
def matrix_row_address(matrix, row, rows, inner):
    """The address of a row of a matrix, or of an entry of a vector."""
    if inner >= rows:
        return matrix[0] + row * matrix[2]
    outer = row // inner
    return matrix[0] + outer * matrix[1] + (row - outer * inner) * matrix[2]


def row_of_group(group, scratch):
    """The function that returns the number of a thread group's row, whether it is to be written, and its scratch.

    Groups beyond the last row compute the last one once more, since all threads of a block take part in its collective
    operations.
    """

    @device
    def assign(start, rows, slots, workspace):
        group_id = group.group_id()
        number = start + group_id
        live = number < rows
        if not live:
            number = rows - 1
        if scratch.shared:
            begin = REDUCTION_SLOTS + types.int64(group_id) * slots
        else:
            begin = workspace + (types.int64(cuda.blockIdx.x) * group.group_count() + group_id) * slots * 8
        return number, live, begin

    return assign


def histograms_status(weighted):
    """The function that returns the status of a row of histograms: 0, or NaN if it is bad."""

    @device
    def row_status(masses, tolerance, inverse_x, inverse_y):
        if weighted:
            return 0.0 if inverse_x + inverse_y < math.inf else math.nan
        balance, mass = masses
        other = mass - balance
        larger = mass if mass > other else other
        good = mass < math.inf and other < math.inf and abs(balance) <= tolerance * larger
        return 0.0 if good else math.nan

    return row_status


def logits_status(classes):
    """The function that returns the status of a row of logits: 0, or NaN if it is bad; `target` is a class, if any."""

    @device
    def row_status(masses, tolerance, target, n):
        if classes:
            return 0.0 if 0 <= target < n else math.nan
        balance, mass = masses
        return 0.0 if abs(balance) <= tolerance and mass >= 0.0 else math.nan

    return row_status


def shift_and_factor(baseline, wrt):
    """The functions that return what is subtracted from a potential, and its factor then.

    Callers replace the shift where it is the expected potential.
    """

    @device
    def shift_of(mean, root_slopes):
        return mean if baseline == CENTRED else -root_slopes

    @device
    def factor_of(inverse_x, inverse_y):
        if wrt == WRT_A:
            return inverse_x
        if wrt == WRT_B:
            return -inverse_y
        return 1.0

    return shift_of, factor_of


@functools.cache
def build(case, module, group, scratch):
    """The kernel of a case, for the module of a kind of space, the thread group of a row, and its scratch."""
    return KERNELS[case.kernel](case, module, group, scratch)


def histograms(case, module, group, scratch):
    """EMD_rho of each pair of rows; and its gradient or potential, the flow, or the gradient for the lengths."""
    format_x, format_y, format_out = format_of(case.x), format_of(case.y), format_of(case.out)
    weighted, literal, count, sync = any(case.normalized), case.literal, group.columns, group.sync
    baseline, wrt = case.flags or (CENTRED, WRT_A)
    loader = differences.histograms_loader(format_x, format_y, case.normalized, wrt == WRT_B, count)
    sweeps = module.sweeps(loader, group, scratch)
    inverse_mass_x = differences.row_inverse_mass(format_x, group)
    inverse_mass_y = differences.row_inverse_mass(format_y, group)
    assign, row_status = row_of_group(group, scratch), histograms_status(weighted)
    potentials_to_out = sweeps.potentials_to(store_potentials(format_out, count))
    expectation = sweeps.potentials_to(expected_potential(loader, count))
    flows_to_out = sweeps.flows_to(store_flows(format_out, case.kernel == "length_gradient", count))
    is_gradient, is_flow = case.kernel == "gradient", case.kernel in ("flow", "length_gradient")
    expected = baseline == EXPECTED
    shift_of, factor_of = shift_and_factor(baseline, wrt)
    size, store = format_out.size, format_out.store

    @device
    def answer(row, out_row, step, columns, tolerance, phi):
        inverse_x, inverse_y = row.inputs[4], row.inputs[5]
        if is_gradient:
            total, masses, state, mean, root_slopes = sweeps.potential(row, phi)
            status = row_status(masses, tolerance, inverse_x, inverse_y)
            shift = expectation(row, state, 0.0, phi) if expected else shift_of(mean, root_slopes)
            output = (out_row, step, columns, shift + status, factor_of(inverse_x, inverse_y))
            potentials_to_out(row, state, output, phi)
            return total + status
        total, masses, state = sweeps.value(row, phi)
        status = row_status(masses, tolerance, inverse_x, inverse_y)
        if is_flow:
            flows_to_out(row, state, (out_row, step, columns, status), phi)
        return total + status

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(count, types.float64)
        exponent = literal if literal > 0.0 else rho
        start = types.int64(cuda.blockIdx.x) * group.group_count()
        while start < rows:
            number, live, begin = assign(start, rows, slots, workspace)
            x_row, y_row = matrix_row_address(x, number, rows, inner), matrix_row_address(y, number, rows, inner)
            inverse_x = inverse_y = 1.0
            if weighted:
                inverse_x, inverse_y = inverse_mass_x(x_row, x[3], n, phi), inverse_mass_y(y_row, y[3], n, phi)
            row = Row((x_row, x[3], y_row, y[3], inverse_x, inverse_y), space, n, exponent, begin)
            value = answer(row, matrix_row_address(out, number, rows, inner), out[3], m if live else 0, tolerance, phi)
            if live and group.rank() == 0:
                store(values + number * size, value)
            sync()
            start += types.int64(cuda.gridDim.x) * group.group_count()

    return kernel


def logits(case, module, group, scratch):
    """EMD_rho of the softmax of logits against a target, and its gradient p * (f - sum(p * f))."""
    format_z, format_target, format_out = format_of(case.x), format_of(case.y), format_of(case.out)
    classes, normalized, literal = case.classes, case.normalized[1], case.literal
    count, sync = group.columns, group.sync
    loader = differences.logits_loader(format_z, format_target, classes, normalized, group)
    sweeps = module.sweeps(loader, group, scratch)
    assign, row_status = row_of_group(group, scratch), logits_status(classes)
    softmax = differences.row_softmax(format_z, group)
    inverse_mass_of = differences.row_inverse_mass(format_target, group)
    gradient_to_out = sweeps.potentials_to(store_logits_gradient(format_out, loader, count))
    expectation = sweeps.potentials_to(expected_potential(loader, count))
    load_class, size, store = format_target.load, format_out.size, format_out.store

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(count, types.float64)
        exponentials = cuda.local.array(count, types.float64)
        exponent = literal if literal > 0.0 else rho
        start = types.int64(cuda.blockIdx.x) * group.group_count()
        while start < rows:
            number, live, begin = assign(start, rows, slots, workspace)
            z_row, target = matrix_row_address(x, number, rows, inner), matrix_row_address(y, number, rows, inner)
            inverse_target = 1.0
            if classes:
                target = types.int64(load_class(target))
            elif normalized:
                inverse_target = inverse_mass_of(target, y[3], n, phi)
            top, inverse_sum = softmax(z_row, x[3], n, exponentials)
            inputs = (z_row, x[3], target, y[3], inverse_target, top, inverse_sum, exponentials)
            row = Row(inputs, space, n, exponent, begin)
            total, masses, state, _, _ = sweeps.potential(row, phi)
            status = row_status(masses, tolerance, target, n)
            shift = expectation(row, state, 0.0, phi) + status
            output = (matrix_row_address(out, number, rows, inner), out[3], n if live else 0, shift)
            gradient_to_out(row, state, output, phi)
            if live and group.rank() == 0:
                store(values + number * size, total + status)
            sync()
            start += types.int64(cuda.gridDim.x) * group.group_count()

    return kernel


KERNELS = {
    "value": histograms,
    "gradient": histograms,
    "flow": histograms,
    "length_gradient": histograms,
    "logits": logits,
}
