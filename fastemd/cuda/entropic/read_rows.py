"""The kernels that begin with rows of entropic transport, a block to a row: reading them, and starting a stage.

`opening` divides a row by its mass and judges it; a bad one (NaN, infinite, negative or no mass; masses that differ by
more than `tolerance` times the larger; potentials that are not finite) is never iterated, and answered with NaN.
"""

import functools
import math

from ...formulas import over_relaxation
from ..exact.differences import SMALLEST_MASS
from ..exact.kernels import start_of
from ..primitives import intrinsics
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import team
from .logsumexp import logarithm
from .state import (
    BEFORE,
    BEGIN,
    CARRIED,
    COUNT,
    EARLIER,
    ERROR,
    GOOD,
    LEAD,
    LIMIT,
    MASS_A,
    MASS_B,
    MOST,
    OMEGA,
    SPEED,
    WINDOW,
    note,
    told,
)

WINDOW_AT_FIRST = float(over_relaxation.WINDOW)


@functools.cache
def opening(names, size):
    """The kernel that reads rows of a and b, and potentials to begin with (None: of 0), of dtypes so named."""
    read_x, read_y, read_f, read_g = (format_of(name or "float64").read for name in names)
    totals = team(size, 1).totals
    fresh = names[2] is None

    def side(read, read_start):
        @device
        def weigh(row, step, bins):
            mass = bad = 0.0
            for j in range(cuda.threadIdx.x, bins, size):
                x = read(row + j * step)
                mass = intrinsics.plus(mass, x)
                if not x >= 0.0:
                    bad += 1.0
            mass, bad, _, _ = totals(mass, bad, 0.0, 0.0)
            return mass, bad

        @device
        def keep(row, step, start, start_step, here, own, mass):
            bad = 0.0
            for j in range(cuda.threadIdx.x, own.bins, size):
                x, z = read(row + j * step) / mass, 0.0
                if not fresh:
                    z = read_start(start + j * start_step)
                if not abs(z) < math.inf:
                    bad += 1.0
                place = 8 * (here * own.bins + j)
                DOUBLE.write(own.mass + place, x)
                DOUBLE.write(own.log_mass + place, logarithm(x))
                DOUBLE.write(own.pot + place, z)
            bad, _, _, _ = totals(bad, 0.0, 0.0, 0.0)
            return bad

        return weigh, keep

    (weigh_a, keep_a), (weigh_b, keep_b) = side(read_x, read_f), side(read_y, read_g)

    @cuda.jit
    def opens(rows, inner, offset, x, y, f, g, room, a, b, tolerance, price):
        here = types.int64(cuda.blockIdx.x)
        row = offset + here
        x_row, y_row = start_of(x, row, rows, inner), start_of(y, row, rows, inner)
        mass_a, bad_a = weigh_a(x_row, x[3], a.bins)
        mass_b, bad_b = weigh_b(y_row, y[3], b.bins)
        bad = bad_a + bad_b
        bad += keep_a(x_row, x[3], start_of(f, row, rows, inner), f[3], here, a, mass_a)
        bad += keep_b(y_row, y[3], start_of(g, row, rows, inner), g[3], here, b, mass_b)
        good = bad == 0.0 and SMALLEST_MASS <= mass_a < math.inf and SMALLEST_MASS <= mass_b < math.inf
        good = good and abs(mass_a - mass_b) <= tolerance * max(mass_a, mass_b)
        if cuda.threadIdx.x == 0:
            lead = 0.0
            if good and price.unbalanced > 0.0 and price.normalized == 0:
                lead = 0.5 * math.log(mass_b / mass_a)
            note(room, GOOD, here, 1.0 if good else 0.0)
            note(room, MASS_A, here, mass_a)
            note(room, MASS_B, here, mass_b)
            note(room, LEAD, here, lead)
            note(room, COUNT, here, 0.0)
            note(room, EARLIER, here, 0.0)

    return opens


@cuda.jit
def begin(room, a, b, factor, omega):
    """Begin a stage: multiply the potentials of good rows by a factor, and set their first over-relaxation."""
    row = types.int64(cuda.blockIdx.x)
    good = told(room, GOOD, row) != 0.0
    for i in range(cuda.threadIdx.x, a.bins, cuda.blockDim.x):
        place = a.pot + 8 * (row * a.bins + i)
        DOUBLE.write(place, DOUBLE.read(place) * factor)
    if a.pot != b.pot:
        for j in range(cuda.threadIdx.x, b.bins, cuda.blockDim.x):
            place = b.pot + 8 * (row * b.bins + j)
            DOUBLE.write(place, DOUBLE.read(place) * factor)
    if cuda.threadIdx.x == 0:
        note(room, OMEGA, row, omega if good else 0.0)
        note(room, EARLIER, row, told(room, EARLIER, row) + told(room, COUNT, row))
        note(room, COUNT, row, 0.0)
        note(room, ERROR, row, math.inf)
        note(room, CARRIED, row, 0.0)
        note(room, BEGIN, row, over_relaxation.FIRST)
        note(room, WINDOW, row, WINDOW_AT_FIRST)
        note(room, BEFORE, row, math.inf)
        note(room, SPEED, row, math.inf)
        note(room, LIMIT, row, math.inf)
        note(room, MOST, row, over_relaxation.LAST)
