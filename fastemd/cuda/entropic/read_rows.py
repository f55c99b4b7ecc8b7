"""The kernels that read the rows of a Sinkhorn problem and start a stage of epsilon scaling, a block to a row.

Reading a row divides it by its mass and validates it. A bad row (NaN, infinite, negative or no mass; masses that differ
by more than `tolerance` times the larger; potentials that are not finite) takes no iterations and is answered with NaN.
"""

import functools
import math

from ...formulas import over_relaxation
from ...formulas.mass import SMALLEST_MASS
from ..exact.kernels import matrix_row_address
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.thread_group import thread_group
from .logsumexp import logarithm
from .state import (
    COUNT,
    EARLIER_COUNT,
    ERROR,
    ERROR_LIMIT,
    GOOD,
    LARGEST_OMEGA,
    LOG_RATIO,
    MASS_A,
    MASS_B,
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
)

SHORTEST_WINDOW = float(over_relaxation.WINDOW)


def side_readers(read, read_potential, start_given, size):
    """Return the functions that measure the mass of a row of a side, and that store its vectors.

    Both return how many entries are bad. Without `start_given`, potentials start at 0.
    """
    totals = thread_group(size, 1).sum_four

    @device
    def measure(row, step, bins):
        mass = bad = 0.0
        for j in range(cuda.threadIdx.x, bins, size):
            x = read(row + j * step)
            mass = intrinsics.plus(mass, x)
            if not x >= 0.0:
                bad += 1.0
        mass, bad, _, _ = totals(mass, bad, 0.0, 0.0)
        return mass, bad

    @device
    def store_vectors(row, step, potential, potential_step, index, own, mass):
        bad = 0.0
        for j in range(cuda.threadIdx.x, own.bins, size):
            x, z = read(row + j * step) / mass, 0.0
            if start_given:
                z = read_potential(potential + j * potential_step)
            if not abs(z) < math.inf:
                bad += 1.0
            entry = index * own.bins + j
            store(own.mass, entry, x)
            store(own.log_mass, entry, logarithm(x))
            store(own.potential, entry, z)
        bad, _, _, _ = totals(bad, 0.0, 0.0, 0.0)
        return bad

    return measure, store_vectors


@functools.cache
def read_rows_kernel(names, size):
    """Return the kernel that reads rows of a and b, and starting potentials (None: 0), of dtypes with these names."""
    read_x, read_y, read_f, read_g = (format_of(name or "float64").load for name in names)
    start_given = names[2] is not None
    measure_a, store_a = side_readers(read_x, read_f, start_given, size)
    measure_b, store_b = side_readers(read_y, read_g, start_given, size)

    @cuda.jit
    def read_rows(rows, inner, offset, x, y, f, g, state, a, b, tolerance, options):
        index = types.int64(cuda.blockIdx.x)
        row = offset + index
        x_row, y_row = matrix_row_address(x, row, rows, inner), matrix_row_address(y, row, rows, inner)
        mass_a, bad_a = measure_a(x_row, x[3], a.bins)
        mass_b, bad_b = measure_b(y_row, y[3], b.bins)
        bad = bad_a + bad_b
        bad += store_a(x_row, x[3], matrix_row_address(f, row, rows, inner), f[3], index, a, mass_a)
        bad += store_b(y_row, y[3], matrix_row_address(g, row, rows, inner), g[3], index, b, mass_b)
        good = bad == 0.0 and SMALLEST_MASS <= mass_a < math.inf and SMALLEST_MASS <= mass_b < math.inf
        good = good and abs(mass_a - mass_b) <= tolerance * max(mass_a, mass_b)
        if cuda.threadIdx.x == 0:
            log_ratio = 0.0
            if good and options.unbalanced > 0.0 and options.normalized == 0:
                log_ratio = 0.5 * math.log(mass_b / mass_a)
            store_field(state, GOOD, index, 1.0 if good else 0.0)
            store_field(state, MASS_A, index, mass_a)
            store_field(state, MASS_B, index, mass_b)
            store_field(state, LOG_RATIO, index, log_ratio)
            store_field(state, COUNT, index, 0.0)
            store_field(state, EARLIER_COUNT, index, 0.0)

    return read_rows


@device
def scale_potentials(side, row, factor):
    """Multiply the potentials of a row by a factor."""
    potentials = row_address(side.potential, row, side.bins)
    for i in range(cuda.threadIdx.x, side.bins, cuda.blockDim.x):
        store(potentials, i, load(potentials, i) * factor)


@cuda.jit
def start_stage(state, a, b, factor, omega):
    """Multiply potentials by `factor`, the previous reg over the new one, and start with over-relaxation `omega`."""
    row = types.int64(cuda.blockIdx.x)
    good = load_field(state, GOOD, row) != 0.0
    scale_potentials(a, row, factor)
    if a.potential != b.potential:
        scale_potentials(b, row, factor)
    if cuda.threadIdx.x == 0:
        store_field(state, OMEGA, row, omega if good else 0.0)
        store_field(state, EARLIER_COUNT, row, load_field(state, EARLIER_COUNT, row) + load_field(state, COUNT, row))
        store_field(state, COUNT, row, 0.0)
        store_field(state, ERROR, row, math.inf)
        store_field(state, PLAN_MASS, row, 0.0)
        store_field(state, WINDOW_START, row, over_relaxation.FIRST_WINDOW)
        store_field(state, WINDOW, row, SHORTEST_WINDOW)
        store_field(state, START_ERROR, row, math.inf)
        store_field(state, SPEED, row, math.inf)
        store_field(state, ERROR_LIMIT, row, math.inf)
        store_field(state, LARGEST_OMEGA, row, over_relaxation.LARGEST_OMEGA)
