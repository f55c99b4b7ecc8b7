"""The kernels: a team of threads for each row, one sweep of its room, a verdict on the row, and the answer written.

None of them raises. A bad row (NaN, infinite or negative mass, masses that differ by more than `tolerance` times the
larger) gets NaN as its value and all through its gradient.

All take the same arguments:

    rows, inner         how many rows there are, and how many of them lie evenly: row r is number r % inner in group
                        r // inner
    n                   bins
    x, y, out           a matrix each: the address, the steps from outer to outer and inner to inner row and from
                        column to column, in bytes
    values              the address of a vector, side by side
    space               what the room's `prepare` made, addresses and numbers
    rho, tolerance
    slots, workspace    the float64 slots that a row needs, and where they are if not in shared memory
"""

import functools
import math
from typing import Any, NamedTuple

from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..primitives.dtypes import format_of
from ..primitives.intrinsics import cuda, device, types
from ..primitives.thread_group import MEETING
from . import differences
from .consumers import expecting, listing, writing, writing_logits
from .sweeps import Row


class Case(NamedTuple):
    """What a kernel is compiled for.

    `law` is rho where it is 1 or 2, else 0; `x`, `y` and `out` name dtypes; `normalized` says which of x and y are
    divided by their mass; `flags` are those of the job (`baseline` and `wrt`, for a gradient).
    """

    kernel: str
    law: float
    x: str
    y: str
    out: str
    classes: bool
    normalized: tuple[bool, bool]
    flags: tuple[Any, ...]


@device
def start_of(matrix, row, rows, inner):
    """The address of a row of a matrix, or of an entry of a vector."""
    if inner >= rows:
        return matrix[0] + row * matrix[2]
    outer = row // inner
    return matrix[0] + outer * matrix[1] + (row - outer * inner) * matrix[2]


def opening(team, scratch):
    """The function that returns a thread's row, how far it may write (0: not at all), and its team's slots.

    Threads of a team beyond the last row go along with the last one, since others wait for them.
    """

    @device
    def open_row(start, rows, slots, workspace):
        index = team.index()
        row = start + index
        live = row < rows
        if not live:
            row = rows - 1
        if scratch.shared:
            slot = MEETING + types.int64(index) * slots
        else:
            slot = workspace + (types.int64(cuda.blockIdx.x) * team.teams() + index) * slots * 8
        return row, live, slot

    return open_row


def judging(weighted):
    """The function that returns 0 for a good row and NaN for a bad one."""

    @device
    def judge(found, tolerance, weigh_x, weigh_y):
        if weighted:
            return 0.0 if weigh_x + weigh_y < math.inf else math.nan
        balance, mass = found
        other = mass - balance
        larger = mass if mass > other else other
        good = mass < math.inf and other < math.inf and abs(balance) <= tolerance * larger
        return 0.0 if good else math.nan

    return judge


def judging_logits(classes):
    """The function that returns 0 for a good row of logits, and NaN for a bad one; `aim` is its class, if any."""

    @device
    def judge(found, tolerance, aim, n):
        if classes:
            return 0.0 if 0 <= aim < n else math.nan
        balance, mass = found
        return 0.0 if abs(balance) <= tolerance and mass >= 0.0 else math.nan

    return judge


def shifting(baseline, wrt):
    """The functions that return what is taken off a potential, and what it is then multiplied by.

    An expected potential is known to the caller only, who replaces the shift.
    """

    @device
    def shift(mean, drop):
        return mean if baseline == CENTRED else -drop

    @device
    def factor(weigh_x, weigh_y):
        if wrt == WRT_A:
            return weigh_x
        if wrt == WRT_B:
            return -weigh_y
        return 1.0

    return shift, factor


@functools.cache
def build(case, room, team, scratch):
    """The kernel of a case, for the rooms' module, the team of a row, and where its slots are."""
    return {"value": of_pairs, "gradient": of_pairs, "flow": of_pairs, "length_gradient": of_pairs, "logits": logits}[
        case.kernel
    ](case, room, team, scratch)


def of_pairs(case, room, team, scratch):
    """EMD_rho of each pair of rows; and its gradient or potential, the flow, or the gradient for the lengths."""
    form_x, form_y, out = format_of(case.x), format_of(case.y), format_of(case.out)
    weighted, law, kernel_name, count = any(case.normalized), case.law, case.kernel, team.columns
    baseline, wrt = case.flags or (CENTRED, WRT_A)
    source = differences.pair(form_x, form_y, case.normalized, wrt == WRT_B, count)
    sweeps = room.room(source, team, scratch)
    scale_x, scale_y = differences.scaling(form_x, team), differences.scaling(form_y, team)
    open_row, judge = opening(team, scratch), judging(weighted)
    write_value = out.write
    visit = sweeps.visiting(writing(out, count))
    expect = sweeps.visiting(expecting(source, count))
    list_edges = sweeps.listing(listing(out, kernel_name == "length_gradient", count))
    size = out.size
    is_gradient, is_flow = kernel_name == "gradient", kernel_name in ("flow", "length_gradient")
    expected = baseline == EXPECTED
    shift_of, factor_of = shifting(baseline, wrt)
    meet = team.meet

    @device
    def answer(row, out_row, step, columns, tolerance, phi):
        weigh_x, weigh_y = row.source[4], row.source[5]
        if is_gradient:
            total, found, state, mean, drop = sweeps.potential(row, phi)
            verdict = judge(found, tolerance, weigh_x, weigh_y)
            shift = expect(row, state, 0.0, phi) if expected else shift_of(mean, drop)
            visit(row, state, (out_row, step, columns, shift + verdict, factor_of(weigh_x, weigh_y)), phi)
            return total + verdict
        total, found, state = sweeps.value(row, phi)
        verdict = judge(found, tolerance, weigh_x, weigh_y)
        if is_flow:
            list_edges(row, state, (out_row, step, columns, verdict), phi)
        return total + verdict

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(count, types.float64)
        exponent = law if law > 0.0 else rho
        start = types.int64(cuda.blockIdx.x) * team.teams()
        while start < rows:
            row, live, slot = open_row(start, rows, slots, workspace)
            x_row, y_row = start_of(x, row, rows, inner), start_of(y, row, rows, inner)
            weigh_x = weigh_y = 1.0
            if weighted:
                weigh_x, weigh_y = scale_x(x_row, x[3], n, phi), scale_y(y_row, y[3], n, phi)
            here = Row((x_row, x[3], y_row, y[3], weigh_x, weigh_y), space, n, exponent, slot)
            value = answer(here, start_of(out, row, rows, inner), out[3], m if live else 0, tolerance, phi)
            if live and team.member() == 0:
                write_value(values + row * size, value)
            meet()
            start += types.int64(cuda.gridDim.x) * team.teams()

    return kernel


def logits(case, room, team, scratch):
    """EMD_rho of the softmax of logits against a target, and its gradient p * (f - sum(p * f))."""
    form_z, form_target, out = format_of(case.x), format_of(case.y), format_of(case.out)
    classes, normalized, law, size, count = case.classes, case.normalized[1], case.law, out.size, team.columns
    source = differences.softmax(form_z, form_target, classes, normalized, team)
    sweeps = room.room(source, team, scratch)
    open_row, softmax, judge = opening(team, scratch), differences.softmaxing(form_z, team), judging_logits(classes)
    scale, read_class, write_value = differences.scaling(form_target, team), form_target.read, out.write
    visit, expect = sweeps.visiting(writing_logits(out, source, count)), sweeps.visiting(expecting(source, count))
    meet = team.meet

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(count, types.float64)
        kept = cuda.local.array(count, types.float64)
        exponent = law if law > 0.0 else rho
        start = types.int64(cuda.blockIdx.x) * team.teams()
        while start < rows:
            row, live, slot = open_row(start, rows, slots, workspace)
            z_row, aim = start_of(x, row, rows, inner), start_of(y, row, rows, inner)
            weigh = 1.0
            if classes:
                aim = types.int64(read_class(aim))
            elif normalized:
                weigh = scale(aim, y[3], n, phi)
            top, whole = softmax(z_row, x[3], n, kept)
            here = Row((z_row, x[3], aim, y[3], weigh, top, whole, kept), space, n, exponent, slot)
            total, found, state, _, _ = sweeps.potential(here, phi)
            verdict = judge(found, tolerance, aim, n)
            shift = expect(here, state, 0.0, phi) + verdict
            visit(here, state, (start_of(out, row, rows, inner), out[3], n if live else 0, shift), phi)
            if live and team.member() == 0:
                write_value(values + row * size, total + verdict)
            meet()
            start += types.int64(cuda.gridDim.x) * team.teams()

    return kernel
