"""Long rows shared by many blocks, where there are too few rows to fill a device.

What a sweep of `kernels` does tile after tile, blocks do here for all tiles of a row at once, in steps that are
launched one after another. What a step finds in each tile goes into the row's `fastemd.cuda.exact.tile_aggregates`, which is combined
before the next step reads it. The additions are those of the sweep, in the same order, so a row has the same bits
either way. Rings are not shared: the search for a circulation goes over the whole row many times.

Kernels take the arguments of `kernels`, and

    ledgers     the address of the ledgers, row after row; `workspace` is where slots are, row after row
    tiles       how many tiles a line of a ledger has
    across      how many of them this launch goes through
"""

import functools
import math
from typing import Any, NamedTuple

from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import Parts, cuda, device, types
from ..primitives.memory import IN_MEMORY
from . import differences
from .consumers import expecting, listing, writing, writing_logits
from .kernels import judging, judging_logits, shifting, start_of
from .sweeps import Row
from .tile_aggregates import (
    BALANCE,
    DROP,
    EXPECTATION,
    EXPONENTIALS,
    LATEST,
    MASS_X,
    MASS_Y,
    MET,
    POTENTIALS,
    STEPS,
    TOP,
    TOTAL,
    carry_to,
    ledger_of,
    note,
    whole,
)

NONE = (0, 0)
BINS, ITEMS, EDGES, ROW = range(4)  # what the tiles of a launch are tiles of; a row is one


class Step(NamedTuple):
    """A launch: a kernel, what its tiles are tiles of, and the lines of ledgers (from, up to) to combine after it."""

    kernel: Any
    over: int
    lines: tuple[int, int]


class Answer(NamedTuple):
    """The addresses of a row's value and of what is written beside it, its step and columns, and the tolerance."""

    value: Any
    row: Any
    step: Any
    columns: Any
    tolerance: Any


class Matter(Parts):
    """What a case is about.

    source                              of differences, as in `fastemd.cuda.exact.differences`
    describe(ledger, x, y, n, kept)     what the source is handed of a row; x and y are its address and step
    judge(ledger, row, tolerance)       0 for a good row, NaN for a bad one
    """

    source: Any
    describe: Any
    judge: Any


@functools.cache
def build(case, room, team):
    """The steps of a case, for the rooms' module and the team of a tile."""
    of = of_logits if case.kernel == "logits" else of_pairs
    matter, first = of(case, team)
    stages = room.stages(matter.source, team, IN_MEMORY)
    found = first + flowing(stages, team, case.kernel in ("gradient", "logits"))
    found += answering(case, matter, stages, team)
    return tuple(Step(_kernel(case, matter, team, body), over, lines) for body, over, lines in found)


def _kernel(case, matter, team, body):
    """The kernel that does ``body(row, ledger, tile, answer, phi)``, a block to each tile of each row."""
    law, size, describe, count = case.law, format_of(case.out).size, matter.describe, team.columns

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace, ledgers, tiles, across):
        phi = cuda.local.array(count, types.float64)
        kept = cuda.local.array(count, types.float64)
        block = types.int64(cuda.blockIdx.x)
        number = block // across
        ledger = ledger_of(ledgers, tiles, number)
        x_row, y_row = (start_of(x, number, rows, inner), x[3]), (start_of(y, number, rows, inner), y[3])
        exponent = law if law > 0.0 else rho
        row = Row(describe(ledger, x_row, y_row, n, kept), space, n, exponent, workspace + 8 * number * slots)
        answer = Answer(values + number * size, start_of(out, number, rows, inner), out[3], m, tolerance)
        body(row, ledger, block - number * across, answer, phi)

    return kernel


def of_pairs(case, team):
    """The `Matter` of two rows of histograms, and the steps that find their masses."""
    form_x, form_y, weighted = format_of(case.x), format_of(case.y), any(case.normalized)
    over_b = case.flags[1:] == (WRT_B,)
    count = team.columns
    source = differences.pair(form_x, form_y, case.normalized, over_b, count)
    weigh_x, weigh_y, verdict = (
        differences.weighing(form_x, count),
        differences.weighing(form_y, count),
        judging(weighted),
    )

    @device
    def describe(ledger, x, y, n, kept):
        if weighted:
            factors = differences.factor_of(whole(ledger, MASS_X)), differences.factor_of(whole(ledger, MASS_Y))
        else:
            factors = 1.0, 1.0
        return x[0], x[1], y[0], y[1], factors[0], factors[1]

    @device
    def judge(ledger, row, tolerance):
        found = whole(ledger, BALANCE), whole(ledger, MET)
        return verdict(found, tolerance, row.source[4], row.source[5])

    @device
    def weigh(row, ledger, t, answer, phi):
        j, s = t * team.tile + count * cuda.threadIdx.x, row.source
        note(ledger, MASS_X, t, team.total(weigh_x(s[0], s[1], j, row.n, phi)))
        note(ledger, MASS_Y, t, team.total(weigh_y(s[2], s[3], j, row.n, phi)))

    steps = [(weigh, BINS, (MASS_Y, MASS_X + 1))] if weighted else []
    return Matter(source=source, describe=describe, judge=judge), steps


def of_logits(case, team):
    """The `Matter` of logits and a target, and the steps that find what makes the exponentials sum to 1."""
    form_z, form_target, count = format_of(case.x), format_of(case.y), team.columns
    classes, normalized = case.classes, case.normalized[1] and not case.classes
    source = differences.softmax(form_z, form_target, classes, normalized, team)
    highest, keep = differences.topping(form_z, count), differences.keeping(form_z, count)
    weigh = differences.weighing(form_target, count)
    read_class, verdict = form_target.read, judging_logits(classes)

    @device
    def describe(ledger, z, aim, n, kept):
        place, weight = aim[0], 1.0
        if classes:
            place = types.int64(read_class(place))
        elif normalized:
            weight = differences.factor_of(whole(ledger, MASS_Y))
        return z[0], z[1], place, aim[1], weight, whole(ledger, TOP), 1.0 / whole(ledger, EXPONENTIALS), kept

    @device
    def judge(ledger, row, tolerance):
        found = whole(ledger, BALANCE), whole(ledger, MET)
        return verdict(found, tolerance, row.source[2], row.n)

    @device
    def find_top(row, ledger, t, answer, phi):
        s = row.source
        top = highest(s[0], s[1], t * team.tile + count * cuda.threadIdx.x, row.n, -math.inf, phi)
        note(ledger, TOP, t, team.most(top))

    @device
    def add_up(row, ledger, t, answer, phi):
        j, s = t * team.tile + count * cuda.threadIdx.x, row.source
        note(ledger, EXPONENTIALS, t, team.total(keep(s[0], s[1], j, row.n, s[5], s[7])))
        if normalized:
            note(ledger, MASS_Y, t, team.total(weigh(s[2], s[3], j, row.n, phi)))

    lines = (EXPONENTIALS, MASS_Y + 1) if normalized else (EXPONENTIALS, EXPONENTIALS + 1)
    steps = [(find_top, BINS, (TOP, TOP + 1)), (add_up, BINS, lines)]
    return Matter(source=source, describe=describe, judge=judge), steps


def flowing(stages, team, slopes):
    """The steps that find a row's flows and what they cost, and under `slopes` their slopes."""
    tile = team.tile

    @device
    def measure(row, ledger, t, answer, phi):
        balance, met, latest = stages.measure(row, t * tile, phi)
        note(ledger, BALANCE, t, balance)
        note(ledger, LATEST, t, latest)
        note(ledger, MET, t, team.total(met))

    @device
    def opens(row, ledger, t, answer, phi):
        stages.opening(row, t * tile, carry_to(ledger, t), phi)

    @device
    def value(row, ledger, t, answer, phi):
        note(ledger, TOTAL, t, team.total(stages.value(row, t * tile, carry_to(ledger, t), phi)))

    @device
    def potential(row, ledger, t, answer, phi):
        paid, steps, potentials, drop = stages.potential(row, t * tile, carry_to(ledger, t), phi)
        note(ledger, TOTAL, t, team.total(paid))
        note(ledger, STEPS, t, team.total(steps))
        note(ledger, POTENTIALS, t, team.total(potentials))
        note(ledger, DROP, t, drop)

    @device
    def lift(row, ledger, t, answer, phi):
        note(ledger, DROP, t, stages.lifting(row, t * tile, phi))

    steps = [(measure, ITEMS, (BALANCE, MET + 1))]
    if stages.opening is not None:
        steps.append((opens, ITEMS, NONE))
    if not slopes:
        return [*steps, (value, ITEMS, (TOTAL, TOTAL + 1))]
    lines = (TOTAL, DROP + 1)
    if stages.lifting is None:
        return [*steps, (potential, ITEMS, lines)]
    return [*steps, (potential, ITEMS, NONE), (lift, ITEMS, lines)]


def answering(case, matter, stages, team):
    """The steps that write a row's answers."""
    out, source, judge, tile = format_of(case.out), matter.source, matter.judge, team.tile
    count = team.columns
    baseline, wrt = case.flags or (CENTRED, WRT_A)
    expected = baseline == EXPECTED
    shift_of, factor_of = shifting(baseline, wrt)
    visit, visit_logits = stages.visiting(writing(out, count)), stages.visiting(writing_logits(out, source, count))
    expect = stages.visiting(expecting(source, count))
    list_edges = stages.listing(listing(out, case.kernel == "length_gradient", count))
    write_value = out.write

    @device
    def conclude(ledger, t, answer, verdict):
        if t == 0 and cuda.threadIdx.x == 0:
            write_value(answer.value, whole(ledger, TOTAL) + verdict)

    @device
    def expectation(row, ledger, t, answer, phi):
        note(ledger, EXPECTATION, t, team.total(expect(row, 0.0, t * tile, carry_to(ledger, t), phi)))

    @device
    def value(row, ledger, t, answer, phi):
        conclude(ledger, t, answer, judge(ledger, row, answer.tolerance))

    @device
    def gradient(row, ledger, t, answer, phi):
        verdict = judge(ledger, row, answer.tolerance)
        shift = shift_of(whole(ledger, POTENTIALS) / row.n, whole(ledger, STEPS))
        if expected:
            shift = whole(ledger, EXPECTATION)
        o = (answer.row, answer.step, answer.columns, shift + verdict, factor_of(row.source[4], row.source[5]))
        visit(row, o, t * tile, carry_to(ledger, t), phi)
        conclude(ledger, t, answer, verdict)

    @device
    def logits(row, ledger, t, answer, phi):
        verdict = judge(ledger, row, answer.tolerance)
        o = (answer.row, answer.step, answer.columns, whole(ledger, EXPECTATION) + verdict)
        visit_logits(row, o, t * tile, carry_to(ledger, t), phi)
        conclude(ledger, t, answer, verdict)

    @device
    def edges(row, ledger, t, answer, phi):
        verdict = judge(ledger, row, answer.tolerance)
        list_edges(row, (answer.row, answer.step, answer.columns, verdict), t * tile, carry_to(ledger, t), phi)
        conclude(ledger, t, answer, verdict)

    if case.kernel == "value":
        return [(value, ROW, NONE)]
    if case.kernel in ("flow", "length_gradient"):
        return [(edges, EDGES, NONE)]
    expecting_first = [(expectation, ITEMS, (EXPECTATION, EXPECTATION + 1))]
    if case.kernel == "logits":
        return [*expecting_first, (logits, ITEMS, NONE)]
    return [*(expecting_first if expected else []), (gradient, ITEMS, NONE)]
