"""The kernels: what is compiled, called with arrays, and run over a range of rows.

Each takes eight rows at a time: one sweep of the space (`sweeps`), a verdict on the rows, then the answer is written.
None of them raises, and none holds the interpreter's lock. A bad row (NaN, infinite or negative mass, masses that
differ by more than `tolerance` times the larger) gets NaN as its value and all through its gradient.

Arguments that recur: `a`, `b` rows of histograms with their columns side by side; `weigh_a`, `weigh_b` a factor for
each row, or None for 1; `space` a room's tuple of arrays; `rho`; `tolerance`; `values` (rows,) and `out` (rows, n or m)
to be written; `buffer`, a vector of eight float64 for each slot; `first`, `last` the range of rows.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from ...formulas.edge import cost
from ...formulas.gradient import CENTRED, EXPECTED, WRT_A, WRT_B
from ..simd.blocks import affine, gather, minus, one_hot, run, times
from ..simd.exp_log import exp
from ..simd.lanes import INLINE, WIDTH, Lanes, all_lanes, any_lane, get, lanes, nowhere, put, select, set_lane
from ..simd.rows import columns, pick, rows, spread, store
from . import chain, ring, sweeps, tree  # noqa: F401  (the rooms furnish the sweeps)

BUFFER = types.float64[::1]
SMALLEST_MASS = np.finfo(np.float64).tiny


@njit(nogil=True)
def is_bad(a, b, row, tolerance):
    """Whether a row holds NaN, an infinity, a negative mass or too unequal masses: the slow and sure look."""
    mass_a = mass_b = 0.0
    for i in range(a.shape[1]):
        if not (0.0 <= a[row, i] < np.inf and 0.0 <= b[row, i] < np.inf):
            return True
        mass_a += a[row, i]
        mass_b += b[row, i]
    return not abs(mass_a - mass_b) <= tolerance * max(mass_a, mass_b)


@njit(**INLINE)
def surely_equal(space, rho, tolerance, total, balance):
    """Whether the value alone shows that the masses of eight rows are equal enough.

    No unit of mass costs more than `space.reach`, so `total <= reach * mass**rho`. Masses whose difference would cost
    less than `tolerance**rho * total` on so long a way thus differ by less than `tolerance * mass`.
    """
    return all_lanes((cost(balance, space.reach, rho) < tolerance**rho * total) | (balance == 0.0))


@njit(nogil=True)
def second_look(a, b, row, last, tolerance, balance, negative):
    """0 for a good row, NaN for a bad one: first by the mass of a, then each row by itself."""
    verdict, mass = lanes(0.0), lanes(0.0)
    if not any_lane(negative):
        x = rows(a, row, last, None)
        for j in range(0, a.shape[1], WIDTH):
            block, _ = columns(x, j, a.shape[1])
            for part in block:
                mass += part
    if not all_lanes(abs(balance) < tolerance * mass):
        for k in range(WIDTH):
            if is_bad(a, b, min(row + k, last - 1), tolerance):
                verdict = set_lane(verdict, k, np.nan)
    return verdict


def judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found):
    """0 for a good row, NaN for a bad one, from what the sweep has `found`.

    Where rows are divided by their mass, `factors` has looked already, and left NaN.
    """


@overload(judge, jit_options=INLINE)
def _judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found):
    def plain(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found):
        if surely_equal(space, rho, tolerance, total, found[0]) and not any_lane(found[1]):
            return lanes(0.0)
        return second_look(a, b, row, last, tolerance, found[0], found[1])

    def weighted(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found):
        return 0.0 * (pick(weigh_a, row, last) + pick(weigh_b, row, last))

    return plain if isinstance(weigh_a, types.NoneType) else weighted


@njit(**INLINE)
def write(out, row, last, buffer, slots, shift, factor):
    """Round (slot - shift) * factor into the rows of `out`; its column i is in the buffer's slot slots[i]."""
    n = out.shape[1]
    into = rows(out, row, last, None)
    for j in range(0, n, WIDTH):
        store(into, j, n, affine(gather(buffer, slots, j), shift, factor))


@njit(**INLINE)
def expectation(x, buffer, place, n):
    """The mean potential of the mass in the `Rows` x."""
    total = lanes(0.0)
    for j in range(0, n, WIDTH):
        block, _ = columns(x, j, n)
        for k, mass in enumerate(block):
            total += mass * get(buffer, place[j + k])
    return total


@njit(nogil=True)
def factors(a, out, first, last):
    """1 / mass of each row; NaN where that is no factor (NaN, an infinity, a negative mass, none at all)."""
    for row in range(first, last):
        mass = 0.0
        good = True
        for i in range(a.shape[1]):
            mass += a[row, i]
            good &= a[row, i] >= 0.0
        out[row] = 1.0 / mass if good and SMALLEST_MASS <= mass < np.inf else np.nan


@njit(nogil=True)
def value(a, b, weigh_a, weigh_b, space, rho, tolerance, values, buffer, first, last):
    """EMD_rho of each row."""
    for row in range(first, last, WIDTH):
        source = rows(a, row, last, weigh_a), rows(b, row, last, weigh_b)
        total, found = sweeps.value(source, space, rho, a.shape[1], buffer)
        spread(values, row, last, total + judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found))


@njit(nogil=True)
def gradient(a, b, weigh_a, weigh_b, space, rho, tolerance, baseline, wrt, values, out, buffer, first, last):
    """EMD_rho and its gradient with respect to a or b, or the potential, as `baseline` and `wrt` say."""
    n = a.shape[1]
    for row in range(first, last, WIDTH):
        source = rows(a, row, last, weigh_a), rows(b, row, last, weigh_b)
        total, found, mean = sweeps.potential(source, space, rho, n, buffer)
        verdict = judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found)
        spread(values, row, last, total + verdict)
        if baseline == CENTRED:
            shift = mean
        elif baseline == EXPECTED:
            shift = expectation(source[1] if wrt == WRT_B else source[0], buffer, space.place, n)
        else:
            shift = get(buffer, space.root)
        factor = lanes(1.0)
        if wrt == WRT_A:
            factor = pick(weigh_a, row, last)
        elif wrt == WRT_B:
            factor = -pick(weigh_b, row, last)
        write(out, row, last, buffer, space.place, shift + verdict, factor)


@njit(nogil=True)
def flow(a, b, weigh_a, weigh_b, space, rho, tolerance, values, out, buffer, first, last):
    """EMD_rho and the flow of each edge."""
    for row in range(first, last, WIDTH):
        source = rows(a, row, last, weigh_a), rows(b, row, last, weigh_b)
        total, found = sweeps.flow(source, space, rho, a.shape[1], buffer)
        verdict = judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found)
        spread(values, row, last, total + verdict)
        write(out, row, last, buffer, space.edge, verdict, lanes(1.0))


@njit(nogil=True)
def length_gradient(a, b, weigh_a, weigh_b, space, rho, tolerance, values, out, buffer, first, last):
    """EMD_rho and its gradient with respect to the lengths: what each flow costs on an edge of length 1."""
    for row in range(first, last, WIDTH):
        source = rows(a, row, last, weigh_a), rows(b, row, last, weigh_b)
        total, found = sweeps.flow(source, space, rho, a.shape[1], buffer)
        for e in range(space.slots):
            put(buffer, e, cost(get(buffer, e), 1.0, rho))
        verdict = judge(a, b, weigh_a, weigh_b, row, last, space, rho, tolerance, total, found)
        spread(values, row, last, total + verdict)
        write(out, row, last, buffer, space.edge, verdict, lanes(1.0))


@njit(**INLINE)
def softmax(x, n, chances):
    """Leave exp(x - max x) in the buffer `chances`, 0 from n on, and return what makes it sum to 1."""
    top = lanes(-np.inf)
    for j in range(0, n, WIDTH):
        block, _ = columns(x, j, n)
        for k, logit in enumerate(block):
            put(chances, j + k, logit)
            if j + k < n:
                top = select(logit > top, logit, top)
    total = lanes(0.0)
    for j in range(0, n, WIDTH):
        for k, logit in enumerate(run(chances, j)):
            chance = exp(logit - top) if j + k < n else lanes(0.0)
            put(chances, j + k, chance)
            total += chance
    return 1.0 / total


@njit(nogil=True)
def logits(z, target, weigh_z, weigh, space, rho, tolerance, values, out, buffer, first, last):
    """EMD_rho of softmax(z) against the target, and its gradient p * (f - sum(p * f)) with respect to z.

    The target is a vector of class indices or rows of histograms. p is never more than eight rows, in the buffer's
    second half. `weigh_z` is None.
    """
    n = z.shape[1]
    chances = buffer[WIDTH * space.slots :]
    for row in range(first, last, WIDTH):
        whole = softmax(rows(z, row, last, None), n, chances)
        aim = aims(target, row, last, weigh)
        total, found, _ = sweeps.potential((chances, whole, aim), space, rho, n, buffer)
        verdict = judge_target(target, row, last, tolerance, aim, n, found)
        spread(values, row, last, total + verdict)
        together = lanes(0.0)
        for i in range(n):
            together += get(chances, i) * get(buffer, space.place[i])
        shift = verdict + together * whole
        into = rows(out, row, last, None)
        for j in range(0, n, WIDTH):
            f = affine(gather(buffer, space.place, j), shift, whole)
            store(into, j, n, times(affine(run(chances, j), lanes(0.0), lanes(1.0)), f))


@overload(sweeps.block, jit_options=INLINE)
def _softmax_less_target(source, j, n):
    """Columns of p - target, for the source (chances, what makes them sum to 1, target)."""
    if source[0] != BUFFER:
        return None
    if source[2] == Lanes:
        return lambda source, j, n: (
            minus(affine(run(source[0], j), lanes(0.0), source[1]), one_hot(source[2], j)),
            nowhere(),
        )

    def against_rows(source, j, n):
        target, negative = columns(source[2], j, n)
        return minus(affine(run(source[0], j), lanes(0.0), source[1]), target), negative

    return against_rows


def aims(target, row, last, weigh):
    """The target of eight rows: their classes in lanes, or `Rows` of histograms."""


@overload(aims, jit_options=INLINE)
def _aims(target, row, last, weigh):
    if target.ndim == 1:
        return lambda target, row, last, weigh: pick(target, row, last)
    return lambda target, row, last, weigh: rows(target, row, last, weigh)


@njit(nogil=True)
def is_histogram(x, row):
    """Whether no mass of the row is negative."""
    good = True
    for i in range(x.shape[1]):
        good &= x[row, i] >= 0.0
    return good


def judge_target(target, row, last, tolerance, aim, n, found):
    """0 where the target is a class or a histogram of mass 1, NaN elsewhere."""


@overload(judge_target, jit_options=INLINE)
def _judge_target(target, row, last, tolerance, aim, n, found):
    if aim == Lanes:
        return lambda target, row, last, tolerance, aim, n, found: select((aim >= 0.0) & (aim < n), 0.0, np.nan)

    def judge_rows(target, row, last, tolerance, aim, n, found):
        verdict = select(abs(found[0]) <= tolerance, 0.0, np.nan)
        if any_lane(found[1]):
            for k in range(WIDTH):
                if not is_histogram(target, min(row + k, last - 1)):
                    verdict = set_lane(verdict, k, np.nan)
        return verdict

    return judge_rows
