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

import math
from typing import Any, NamedTuple

from ..laws import CENTRED, EXPECTED, WRT_A, WRT_B, cost
from . import sources
from .numbers import format_of
from .rooms import Row, Taker
from .target import FOUR, cuda, device, types
from .teams import MEETING


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
        index = cuda.threadIdx.x // team.size
        row = start + index
        live = row < rows
        if not live:
            row = rows - 1
        if scratch.shared:
            slot = MEETING + types.int64(index) * slots
        else:
            slot = workspace + (types.int64(cuda.blockIdx.x) * (cuda.blockDim.x // team.size) + index) * slots * 8
        return row, live, slot

    return open_row


def judging(weighted):
    """The function that returns 0 for a good row and NaN for a bad one."""

    @device
    def judge(found, tolerance, weigh_x, weigh_y):
        if weighted:
            return 0.0 * (weigh_x + weigh_y)
        balance, mass = found
        other = mass - balance
        larger = mass if mass > other else other
        good = mass < math.inf and other < math.inf and abs(balance) <= tolerance * larger
        return 0.0 if good else math.nan

    return judge


def writing(form):
    """What writes (f - shift) * factor, for o = (row, step, columns, shift, factor)."""
    out = sources.columns(form)

    @device
    def four(row, o, j, f):
        for k in range(FOUR):
            f[k] = (f[k] - o[3]) * o[4]
        out.put_four(o[0], o[1], j, o[2], f)
        return 0.0

    @device
    def one(row, o, i, f):
        out.put_one(o[0], o[1], i, o[2], (f - o[3]) * o[4])
        return 0.0

    return Taker(four=four, one=one)


def writing_logits(form, source):
    """What writes p * (f - shift), with o as for `writing`."""
    out = sources.columns(form)

    @device
    def four(row, o, j, f):
        p = cuda.local.array(FOUR, types.float64)
        source.share(row.source, j, row.n, p)
        for k in range(FOUR):
            f[k] = p[k] * (f[k] - o[3])
        out.put_four(o[0], o[1], j, o[2], f)
        return 0.0

    @device
    def one(row, o, i, f):
        out.put_one(o[0], o[1], i, o[2], source.share_one(row.source, i, row.n) * (f - o[3]))
        return 0.0

    return Taker(four=four, one=one)


def expecting(source):
    """What adds up the potential over the mass of a histogram."""

    @device
    def four(row, o, j, f):
        p = cuda.local.array(FOUR, types.float64)
        source.share(row.source, j, row.n, p)
        found = 0.0
        for k in range(FOUR):
            if j + k < row.n:
                found += p[k] * f[k]
        return found

    @device
    def one(row, o, i, f):
        return source.share_one(row.source, i, row.n) * f

    return Taker(four=four, one=one)


def listing(form, of_lengths):
    """What writes flows, or what each would cost on an edge of length 1, for o = (row, step, edges, verdict)."""
    out = sources.columns(form)

    @device
    def four(row, o, e, phi):
        for k in range(FOUR):
            phi[k] = (cost(phi[k], 1.0, row.rho) if of_lengths else phi[k]) + o[3]
        out.put_four(o[0], o[1], e, o[2], phi)

    @device
    def one(row, o, e, phi):
        out.put_one(o[0], o[1], e, o[2], (cost(phi, 1.0, row.rho) if of_lengths else phi) + o[3])

    return Taker(four=four, one=one)


def build(case, room, team, scratch):
    """The kernel of a case, for the rooms' module, the team of a row, and where its slots are."""
    return {"value": of_pairs, "gradient": of_pairs, "flow": of_pairs, "length_gradient": of_pairs, "logits": logits}[
        case.kernel
    ](case, room, team, scratch)


def of_pairs(case, room, team, scratch):
    """EMD_rho of each pair of rows; and its gradient or potential, the flow, or the gradient for the lengths."""
    form_x, form_y, out = format_of(case.x), format_of(case.y), format_of(case.out)
    weighted, law, kernel_name = any(case.normalized), case.law, case.kernel
    baseline, wrt = case.flags or (CENTRED, WRT_A)
    source = sources.pair(form_x, form_y, case.normalized, wrt == WRT_B)
    sweeps = room.room(source, team, scratch)
    scale_x, scale_y = sources.scaling(form_x, team), sources.scaling(form_y, team)
    open_row, judge = opening(team, scratch), judging(weighted)
    write_value = out.write
    visit = sweeps.visiting(writing(out))
    expect = sweeps.visiting(expecting(source))
    list_edges = sweeps.listing(listing(out, kernel_name == "length_gradient"))
    size = out.size
    is_gradient, is_flow = kernel_name == "gradient", kernel_name in ("flow", "length_gradient")
    expected = baseline == EXPECTED
    centred = baseline == CENTRED
    meet = team.meet

    @device
    def answer(row, out_row, step, columns, tolerance, phi):
        weigh_x, weigh_y = row.source[4], row.source[5]
        if is_gradient:
            total, found, state, mean, root = sweeps.potential(row, phi)
            verdict = judge(found, tolerance, weigh_x, weigh_y)
            shift = mean if centred else root
            if expected:
                shift = team.total(expect(row, state, 0.0, phi))
            factor = 1.0
            if wrt == WRT_A:
                factor = weigh_x
            elif wrt == WRT_B:
                factor = -weigh_y
            visit(row, state, (out_row, step, columns, shift + verdict, factor), phi)
            return total + verdict
        total, found, state = sweeps.value(row, phi)
        verdict = judge(found, tolerance, weigh_x, weigh_y)
        if is_flow:
            list_edges(row, state, (out_row, step, columns, verdict), phi)
        return total + verdict

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(FOUR, types.float64)
        per_block = cuda.blockDim.x // team.size
        exponent = law if law > 0.0 else rho
        for start in range(cuda.blockIdx.x * per_block, rows, cuda.gridDim.x * per_block):
            row, live, slot = open_row(start, rows, slots, workspace)
            x_row, y_row = start_of(x, row, rows, inner), start_of(y, row, rows, inner)
            weigh_x = weigh_y = 1.0
            if weighted:
                weigh_x, weigh_y = scale_x(x_row, x[3], n), scale_y(y_row, y[3], n)
            here = Row((x_row, x[3], y_row, y[3], weigh_x, weigh_y), space, n, exponent, slot)
            value = answer(here, start_of(out, row, rows, inner), out[3], m if live else 0, tolerance, phi)
            if live and cuda.threadIdx.x % team.size == 0:
                write_value(values + row * size, value)
            meet()

    return kernel


def logits(case, room, team, scratch):
    """EMD_rho of the softmax of logits against a target, and its gradient p * (f - sum(p * f))."""
    form_z, form_target, out = format_of(case.x), format_of(case.y), format_of(case.out)
    classes, normalized, law, size = case.classes, case.normalized[1], case.law, out.size
    tile = FOUR * team.size
    source = sources.softmax(form_z, form_target, classes, normalized, tile)
    sweeps = room.room(source, team, scratch)
    open_row, softmax = opening(team, scratch), softmaxing(form_z, team)
    scale, read_class, write_value = sources.scaling(form_target, team), form_target.read, out.write
    visit, expect = sweeps.visiting(writing_logits(out, source)), sweeps.visiting(expecting(source))
    meet = team.meet

    @device
    def judge(found, tolerance, aim, n):
        if classes:
            return 0.0 if 0 <= aim < n else math.nan
        balance, mass = found
        return 0.0 if abs(balance) <= tolerance and mass >= 0.0 else math.nan

    @cuda.jit
    def kernel(rows, inner, n, m, x, y, values, out, space, rho, tolerance, slots, workspace):
        phi = cuda.local.array(FOUR, types.float64)
        kept = cuda.local.array(FOUR, types.float64)
        per_block = cuda.blockDim.x // team.size
        exponent = law if law > 0.0 else rho
        for start in range(cuda.blockIdx.x * per_block, rows, cuda.gridDim.x * per_block):
            row, live, slot = open_row(start, rows, slots, workspace)
            z_row, aim = start_of(x, row, rows, inner), start_of(y, row, rows, inner)
            weigh = 1.0
            if classes:
                aim = types.int64(read_class(aim))
            elif normalized:
                weigh = scale(aim, y[3], n)
            top, whole = softmax(z_row, x[3], n, kept)
            here = Row((z_row, x[3], aim, y[3], weigh, top, whole, kept), space, n, exponent, slot)
            total, found, state, _, _ = sweeps.potential(here, phi)
            verdict = judge(found, tolerance, aim, n)
            shift = team.total(expect(here, state, 0.0, phi)) + verdict
            visit(here, state, (start_of(out, row, rows, inner), out[3], n if live else 0, shift), phi)
            if live and cuda.threadIdx.x % team.size == 0:
                write_value(values + row * size, total + verdict)
            meet()

    return kernel


def softmaxing(form, team):
    """The function that returns the largest logit of a row, and what makes the exponentials less it sum to 1.

    `kept` is left with the exponentials of the thread's own columns in the last tile.
    """
    read, keep, tile = sources.columns(form), sources.keeping(form), FOUR * team.size

    @device
    def softmax(row, step, n, kept):
        own = FOUR * (cuda.threadIdx.x % team.size)
        top = -math.inf
        for j in range(own, n, tile):
            z = read.four(row, step, j, n)
            for k in range(FOUR):
                if j + k < n and not z[k] <= top:
                    top = z[k]
        top = team.most(top)
        whole = 0.0
        for first in range(0, n, tile):
            whole += team.total(keep(row, step, first + own, n, top, kept))
        return top, 1.0 / whole

    return softmax
