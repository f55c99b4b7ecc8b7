"""Sinkhorn's loop on a device: a launch takes each row a number of iterations further, until it has converged.

A block has a few rows (`fastemd.cuda.entropic.matrix`; one, on a space). An iteration is a half step for b and one for a: sums
over the other side's bins, then new potentials from them. Before the step for a it is known how far the plan's
marginals are off, by which the row's pace is set (`fastemd.formulas.over_relaxation`), and whether it is done. Rows that have converged
stay as they are; a block without other rows leaves at once. All state lies in device memory between launches.
"""

import functools
import math

from ...formulas import over_relaxation
from ..primitives import intrinsics
from ..primitives.intrinsics import cuda, device, types
from ..primitives.memory import DOUBLE
from ..primitives.thread_group import team
from . import matrix, ring, walks
from .logsumexp import growth, logarithm
from .state import BEFORE, BEGIN, CARRIED, COUNT, ERROR, LEAD, LIMIT, MOST, OMEGA, SPEED, WINDOW, at, note, told

GOES_ON, COLD, WARM = 0, 1, 2  # a launch that goes on; or the first, of potentials that are worth judging or not

RELAYS = {"chain": walks.along_chain, "tree": walks.along_tree, "ring": ring.along_ring}

adapt = device(over_relaxation.adapt)


def sums_of(form, size):
    """The `dense.Sums` of a form: those of `dense.of_matrix`, or a kind of space."""
    return of_space(form, size) if form in RELAYS else matrix.of_matrix(form, size)


def of_space(kind, size):
    """The `dense.Sums` of a space, one row to a block: `ground` is its `walks.Walk`."""
    relay = RELAYS[kind](size)

    @device
    def weights(row, side):
        return at(side.log_mass, row, side.bins), at(side.pot, row, side.bins), 0.0

    @device
    def half(room, base, count, own, other, law, ground):
        sums, slot = at(room.sums, base, room.width), at(room.scratch, base, room.slots)
        relay.sums(weights(base, other), sums, other.bins, ground, 1.0 / law.reg, slot)

    @device
    def cost(room, row, a, b, law, ground):
        sums, slot = at(room.sums, row, room.width), at(room.scratch, row, room.slots)
        return relay.cost(weights(row, a), weights(row, b), sums, a.bins, ground, 1.0 / law.reg, slot)

    return matrix.Sums(rows=1, half=half, cost=cost)


def updates(size):
    """The functions that measure a row's marginal, and that move its potentials; see `fastemd.cpu.entropic.kernels.update`."""
    totals = team(size, 1).totals

    @device
    def measure(room, row, own, ahead, damp, share):
        sums, masses, pots = at(room.sums, row, room.width), at(own.mass, row, own.bins), at(own.pot, row, own.bins)
        off = moved = 0.0
        for i in range(cuda.threadIdx.x, own.bins, size):
            f, part = DOUBLE.read(pots + 8 * i), DOUBLE.read(masses + 8 * i)
            excess = DOUBLE.read(sums + 8 * i) + ahead + (1.0 + damp) * f  # ln of how many times too large it is
            if damp > 0.0:
                part *= growth(-damp * f)
            off = intrinsics.plus(off, part * abs(growth(share * excess) - 1.0))
            moved = intrinsics.plus(moved, part * growth(excess))
        off, moved, _, _ = totals(off, moved, 0.0, 0.0)
        return off, moved

    @device
    def move(room, row, own, ahead, damp, omega):
        sums, logs, pots = at(room.sums, row, room.width), at(own.log_mass, row, own.bins), at(own.pot, row, own.bins)
        for i in range(cuda.threadIdx.x, own.bins, size):
            f = DOUBLE.read(pots + 8 * i)
            # An empty bin weighs nothing and is never judged; its potential is just what follows from the others.
            step = 1.0 if DOUBLE.read(logs + 8 * i) == -math.inf else omega
            excess = DOUBLE.read(sums + 8 * i) + ahead + (1.0 + damp) * f
            DOUBLE.write(pots + 8 * i, f - step * (excess / (1.0 + damp)))

    @device
    def level(row, a, b, ahead, damp):
        """Move what both potentials have in common to where it is best; see `fastemd.cpu.entropic.solver`."""
        reach_a = reach_b = 0.0
        for i in range(cuda.threadIdx.x, a.bins, size):
            place = 8 * (row * a.bins + i)
            reach_a = intrinsics.plus(reach_a, DOUBLE.read(a.mass + place) * growth(-damp * DOUBLE.read(a.pot + place)))
        for j in range(cuda.threadIdx.x, b.bins, size):
            place = 8 * (row * b.bins + j)
            reach_b = intrinsics.plus(reach_b, DOUBLE.read(b.mass + place) * growth(-damp * DOUBLE.read(b.pot + place)))
        reach_a, reach_b, _, _ = totals(reach_a, reach_b, 0.0, 0.0)
        shift = (logarithm(reach_a) - logarithm(reach_b) - 2.0 * ahead) / (2.0 * damp)
        for i in range(cuda.threadIdx.x, a.bins, size):
            place = a.pot + 8 * (row * a.bins + i)
            DOUBLE.write(place, DOUBLE.read(place) + shift)

    return measure, move, level


@device
def set_pace(room, row, count, error, omega):
    """Write a row's over-relaxation after an iteration, and what it follows from."""
    omega, begin, window, before, speed, limit, most = adapt(
        count, error, omega, told(room, BEGIN, row), told(room, WINDOW, row), told(room, BEFORE, row),
        told(room, SPEED, row), told(room, LIMIT, row), told(room, MOST, row),
    )  # fmt: skip
    note(room, OMEGA, row, omega)
    note(room, BEGIN, row, begin)
    note(room, WINDOW, row, window)
    note(room, BEFORE, row, before)
    note(room, SPEED, row, speed)
    note(room, LIMIT, row, limit)
    note(room, MOST, row, most)


@device
def still_moving(room, base, count):
    """Whether a row of a block has not converged."""
    moving = False
    for r in range(count):
        moving = moving or told(room, OMEGA, base + r) != 0.0
    return moving


def stepping(size, same):
    """The function that does the rest of a half step, once there are sums: measure, step, judge, set the pace."""
    measure, move, level = updates(size)

    @device
    def conclude(room, row, law, error, carried, omega, count, done):
        """Write what a row has come to after an iteration."""
        note(room, CARRIED, row, carried)
        if done:
            note(room, OMEGA, row, 0.0)
        else:
            note(room, COUNT, row, count + 1.0)
            if not same and law.damp == 0.0:
                set_pace(room, row, count, error, omega)

    @device
    def step(room, row, own, a, b, law, for_a, omega):
        count, lead = told(room, COUNT, row), told(room, LEAD, row)
        ahead = (lead if for_a else -lead) - law.least
        error = carried = 0.0
        if for_a or omega != 1.0:
            error, carried = measure(room, row, own, ahead, law.damp, 1.0 if for_a else 1.0 - omega)
        done = False
        if for_a:
            # Of equal histograms under a symmetric cost either marginal is off by the same.
            error = 2.0 * error if same else told(room, ERROR, row) + error
            done = error <= law.tol or count >= law.most
        move(room, row, own, ahead, law.damp, 0.0 if done else omega)
        if for_a and law.damp > 0.0 and not done:
            level(row, a, b, lead, law.damp)
        cuda.syncthreads()
        if cuda.threadIdx.x == 0:
            note(room, ERROR, row, error)
            if for_a:
                conclude(room, row, law, error, carried, omega, count, done)

    return step


@functools.cache
def build(form, size, same):
    """The kernel of a form for blocks of a size. `same`: of equal histograms, whose potentials are one.

    There is one half step in the code, for either side: two would take twice the registers.
    """
    sums = sums_of(form, size)
    group, half, step = sums.rows, sums.half, stepping(size, same)

    @cuda.jit
    def march(room, a, b, law, ground, steps, begins):
        base = types.int64(cuda.blockIdx.x) * group
        count = min(group, room.rows - base)
        for turn in range(2 * steps):
            for_a = turn & 1 == 1
            if not for_a:
                if not still_moving(room, base, count):
                    break
                if same or (turn == 0 and begins == COLD):
                    continue
            own, other = (a, b) if for_a else (b, a)
            half(room, base, count, own, other, law, ground)
            for r in range(count):
                omega = told(room, OMEGA, base + r)
                if omega != 0.0:
                    judged_only = turn == 0 and begins == WARM
                    step(room, base + r, own, a, b, law, for_a, 0.0 if judged_only else omega)
            cuda.syncthreads()

    return march
