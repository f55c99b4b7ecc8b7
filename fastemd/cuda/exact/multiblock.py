"""Multi-block kernels: several blocks to a row, for long rows that are too few to fill a device.

Blocks do to all tiles of a row at once what a sweep of `kernels` does to them in turn, in steps that are launched one
after the other. A step stores aggregates of each tile (`fastemd.cuda.exact.tile_aggregates`), which are scanned before
the next step loads them. The additions are those of the sweep, in the same order, so a row has the same bits either way
(tests/cuda/test_multiblock.py). Rings have no multi-block kernels: the search for a circulation needs many passes over
the row.

Kernels take the arguments of `kernels`, and

    aggregates      address of the tile aggregates, row after row
    tiles           tiles of a row that aggregates are stored for
    used_tiles      tiles of a row in this launch
"""

import functools
import math
from typing import Any, NamedTuple

from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import DeviceFunctions, cuda, device, types
from ..primitives.memory import GLOBAL
from . import differences
from .consumers import expected_potential, store_flows, store_logits_gradient, store_potentials
from .kernels import histograms_status, logits_status, matrix_row_address, shift_and_factor
from .sweeps import Row
from .tile_aggregates import (
    BALANCE,
    COST,
    EXP_SUM,
    EXPECTED_POTENTIAL,
    LAST_NONZERO,
    MASS,
    MASS_X,
    MASS_Y,
    MAX_LOGIT,
    POTENTIAL_SUM,
    ROOT_SLOPES,
    SLOPE_SUM,
    aggregates_of,
    load_carry,
    load_total,
    store,
)

NO_FIELDS = (0, 0)
BINS, COLUMNS, EDGES, ROW = range(4)  # what the tiles of a launch consist of; ROW: one tile


class Step(NamedTuple):
    """A launch: a kernel, what its tiles consist of, and the aggregates (from, up to) to scan after it."""

    kernel: Any
    over: int
    fields: tuple[int, int]


class Output(NamedTuple):
    """Addresses of a row's value and of its row of `out`, the step and number of columns there, and the tolerance."""

    value: Any
    row: Any
    step: Any
    columns: Any
    tolerance: Any


class CaseFunctions(DeviceFunctions):
    """The case-specific device functions of a multi-block kernel: input, row description, validity check.

    loader                                                  the `Loader` of the rows
    describe(aggregates, x, y, n, exponentials)             its `inputs` for a row; x and y are pairs (address, step)
    row_status(aggregates, row, tolerance)                  0, or NaN if the row is bad
    """

    loader: Any
    describe: Any
    row_status: Any


@functools.cache
def build(case, module, group):
    """The steps of a case, for the module of a kind of space and the thread group of a tile."""
    make = logits if case.kernel == "logits" else histograms
    functions, steps = make(case, group)
    sweeps = module.tile_sweeps(functions.loader, group, GLOBAL)
    steps = steps + flow_steps(sweeps, group, case.kernel in ("gradient", "logits"))
    steps += answer_steps(case, functions, sweeps, group)
    return tuple(Step(_kernel(case, functions, group, body), over, fields) for body, over, fields in steps)


def _kernel(case, functions, group, body):
    """The kernel that calls ``body(row, aggregates, tile, output, phi)``, a block to each tile of each row."""
    literal, size, describe, count = case.literal, format_of(case.out).size, functions.describe, group.columns

    @cuda.jit
    def kernel(
        rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace, aggregates, tiles, used_tiles
    ):
        phi = cuda.local.array(count, types.float64)
        exponentials = cuda.local.array(count, types.float64)
        block = types.int64(cuda.blockIdx.x)
        number = block // used_tiles
        row_aggregates = aggregates_of(aggregates, tiles, number)
        x_row, y_row = (
            (matrix_row_address(x, number, rows, inner), x[3]),
            (matrix_row_address(y, number, rows, inner), y[3]),
        )
        exponent = literal if literal > 0.0 else rho
        inputs = describe(row_aggregates, x_row, y_row, n, exponentials)
        row = Row(inputs, space, n, exponent, workspace + 8 * number * slots)
        output = Output(values + number * size, matrix_row_address(out, number, rows, inner), out[3], m, tolerance)
        body(row, row_aggregates, block - number * used_tiles, output, phi)

    return kernel


def histograms(case, group):
    """The `CaseFunctions` of two rows of histograms, and the steps that sum their masses."""
    format_x, format_y, weighted = format_of(case.x), format_of(case.y), any(case.normalized)
    weights_of_b = case.flags[1:] == (WRT_B,)
    count = group.columns
    loader = differences.histograms_loader(format_x, format_y, case.normalized, weights_of_b, count)
    mass_of_x, mass_of_y = differences.tile_mass(format_x, count), differences.tile_mass(format_y, count)
    status_of = histograms_status(weighted)

    @device
    def describe(aggregates, x, y, n, exponentials):
        if weighted:
            mass_x, mass_y = load_total(aggregates, MASS_X), load_total(aggregates, MASS_Y)
            factors = differences.inverse_mass(mass_x), differences.inverse_mass(mass_y)
        else:
            factors = 1.0, 1.0
        return x[0], x[1], y[0], y[1], factors[0], factors[1]

    @device
    def row_status(aggregates, row, tolerance):
        masses = load_total(aggregates, BALANCE), load_total(aggregates, MASS)
        return status_of(masses, tolerance, row.inputs[4], row.inputs[5])

    @device
    def sum_masses(row, aggregates, t, output, phi):
        j, inputs = t * group.tile + count * cuda.threadIdx.x, row.inputs
        store(aggregates, MASS_X, t, group.sum(mass_of_x(inputs[0], inputs[1], j, row.n, phi)))
        store(aggregates, MASS_Y, t, group.sum(mass_of_y(inputs[2], inputs[3], j, row.n, phi)))

    steps = [(sum_masses, BINS, (MASS_Y, MASS_X + 1))] if weighted else []
    return CaseFunctions(loader=loader, describe=describe, row_status=row_status), steps


def logits(case, group):
    """The `CaseFunctions` of logits and a target, and the steps that find the largest logit and sum exponentials."""
    format_z, format_target, count = format_of(case.x), format_of(case.y), group.columns
    classes, normalized = case.classes, case.normalized[1] and not case.classes
    loader = differences.logits_loader(format_z, format_target, classes, normalized, group)
    maximum, exponentials_of = differences.tile_maximum(format_z, count), differences.tile_exponentials(format_z, count)
    mass_of = differences.tile_mass(format_target, count)
    load_class, status_of = format_target.load, logits_status(classes)

    @device
    def describe(aggregates, z, target, n, exponentials):
        aim, inverse_target = target[0], 1.0
        if classes:
            aim = types.int64(load_class(aim))
        elif normalized:
            inverse_target = differences.inverse_mass(load_total(aggregates, MASS_Y))
        top, inverse_sum = load_total(aggregates, MAX_LOGIT), 1.0 / load_total(aggregates, EXP_SUM)
        return z[0], z[1], aim, target[1], inverse_target, top, inverse_sum, exponentials

    @device
    def row_status(aggregates, row, tolerance):
        masses = load_total(aggregates, BALANCE), load_total(aggregates, MASS)
        return status_of(masses, tolerance, row.inputs[2], row.n)

    @device
    def find_maximum(row, aggregates, t, output, phi):
        inputs = row.inputs
        top = maximum(inputs[0], inputs[1], t * group.tile + count * cuda.threadIdx.x, row.n, -math.inf, phi)
        store(aggregates, MAX_LOGIT, t, group.max(top))

    @device
    def sum_exponentials(row, aggregates, t, output, phi):
        j, inputs = t * group.tile + count * cuda.threadIdx.x, row.inputs
        exponentials = exponentials_of(inputs[0], inputs[1], j, row.n, inputs[5], inputs[7])
        store(aggregates, EXP_SUM, t, group.sum(exponentials))
        if normalized:
            store(aggregates, MASS_Y, t, group.sum(mass_of(inputs[2], inputs[3], j, row.n, phi)))

    fields = (EXP_SUM, MASS_Y + 1) if normalized else (EXP_SUM, EXP_SUM + 1)
    steps = [(find_maximum, BINS, (MAX_LOGIT, MAX_LOGIT + 1)), (sum_exponentials, BINS, fields)]
    return CaseFunctions(loader=loader, describe=describe, row_status=row_status), steps


def flow_steps(sweeps, group, slopes):
    """The steps that compute the flows of a row and their costs, and under `slopes` their slopes."""
    tile = group.tile

    @device
    def aggregate(row, aggregates, t, output, phi):
        balance, mass, last_nonzero = sweeps.aggregate(row, t * tile, phi)
        store(aggregates, BALANCE, t, balance)
        store(aggregates, LAST_NONZERO, t, last_nonzero)
        store(aggregates, MASS, t, group.sum(mass))

    @device
    def store_openings(row, aggregates, t, output, phi):
        sweeps.store_openings(row, t * tile, load_carry(aggregates, t), phi)

    @device
    def value(row, aggregates, t, output, phi):
        store(aggregates, COST, t, group.sum(sweeps.value(row, t * tile, load_carry(aggregates, t), phi)))

    @device
    def potential(row, aggregates, t, output, phi):
        costs, slopes, potentials, slope_sum = sweeps.potential(row, t * tile, load_carry(aggregates, t), phi)
        store(aggregates, COST, t, group.sum(costs))
        store(aggregates, ROOT_SLOPES, t, group.sum(slopes))
        store(aggregates, POTENTIAL_SUM, t, group.sum(potentials))
        store(aggregates, SLOPE_SUM, t, slope_sum)

    @device
    def slope_sum(row, aggregates, t, output, phi):
        store(aggregates, SLOPE_SUM, t, sweeps.slope_sum(row, t * tile, phi))

    steps = [(aggregate, COLUMNS, (BALANCE, MASS + 1))]
    if sweeps.store_openings is not None:
        steps.append((store_openings, COLUMNS, NO_FIELDS))
    if not slopes:
        return [*steps, (value, COLUMNS, (COST, COST + 1))]
    fields = (COST, SLOPE_SUM + 1)
    if sweeps.slope_sum is None:
        return [*steps, (potential, COLUMNS, fields)]
    return [*steps, (potential, COLUMNS, NO_FIELDS), (slope_sum, COLUMNS, fields)]


def answer_steps(case, functions, sweeps, group):
    """The steps that store the answers to a row."""
    out, loader, row_status = format_of(case.out), functions.loader, functions.row_status
    tile, count = group.tile, group.columns
    baseline, wrt = case.flags or (CENTRED, WRT_A)
    expected = baseline == EXPECTED
    shift_of, factor_of = shift_and_factor(baseline, wrt)
    potentials_to_out = sweeps.potentials_to(store_potentials(out, count))
    gradient_to_out = sweeps.potentials_to(store_logits_gradient(out, loader, count))
    expectation = sweeps.potentials_to(expected_potential(loader, count))
    flows_to_out = sweeps.flows_to(store_flows(out, case.kernel == "length_gradient", count))
    store_value = out.store

    @device
    def answer_value(aggregates, t, output, status):
        if t == 0 and cuda.threadIdx.x == 0:
            store_value(output.value, load_total(aggregates, COST) + status)

    @device
    def sum_expectation(row, aggregates, t, output, phi):
        result = expectation(row, 0.0, t * tile, load_carry(aggregates, t), phi)
        store(aggregates, EXPECTED_POTENTIAL, t, group.sum(result))

    @device
    def value(row, aggregates, t, output, phi):
        answer_value(aggregates, t, output, row_status(aggregates, row, output.tolerance))

    @device
    def gradient(row, aggregates, t, output, phi):
        status = row_status(aggregates, row, output.tolerance)
        shift = shift_of(load_total(aggregates, POTENTIAL_SUM) / row.n, load_total(aggregates, ROOT_SLOPES))
        if expected:
            shift = load_total(aggregates, EXPECTED_POTENTIAL)
        factor = factor_of(row.inputs[4], row.inputs[5])
        out_row = (output.row, output.step, output.columns, shift + status, factor)
        potentials_to_out(row, out_row, t * tile, load_carry(aggregates, t), phi)
        answer_value(aggregates, t, output, status)

    @device
    def logits_gradient(row, aggregates, t, output, phi):
        status = row_status(aggregates, row, output.tolerance)
        shift = load_total(aggregates, EXPECTED_POTENTIAL) + status
        out_row = (output.row, output.step, output.columns, shift)
        gradient_to_out(row, out_row, t * tile, load_carry(aggregates, t), phi)
        answer_value(aggregates, t, output, status)

    @device
    def flows(row, aggregates, t, output, phi):
        status = row_status(aggregates, row, output.tolerance)
        out_row = (output.row, output.step, output.columns, status)
        flows_to_out(row, out_row, t * tile, load_carry(aggregates, t), phi)
        answer_value(aggregates, t, output, status)

    if case.kernel == "value":
        return [(value, ROW, NO_FIELDS)]
    if case.kernel in ("flow", "length_gradient"):
        return [(flows, EDGES, NO_FIELDS)]
    expectation_step = (sum_expectation, COLUMNS, (EXPECTED_POTENTIAL, EXPECTED_POTENTIAL + 1))
    if case.kernel == "logits":
        return [expectation_step, (logits_gradient, COLUMNS, NO_FIELDS)]
    return [*([expectation_step] if expected else []), (gradient, COLUMNS, NO_FIELDS)]
