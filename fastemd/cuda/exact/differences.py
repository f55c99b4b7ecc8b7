"""Where a sweep's differences come from: two rows of histograms, or the softmax of logits against a target.

A kernel hands a *source* the tuple `s` that describes one row, and a thread asks it for its own columns, `count`
neighbours from j on, or for one. A source is made for the dtypes at hand, and gives

    own(s, j, n, d)     put the differences of the thread's columns into d; return the mass met
    one(s, j, n)        the difference at column j, and the mass met
    share(s, j, n, d)   the mass at the thread's columns, into d
    share_one(s, j, n)  the mass at column j

Columns from n on hold nothing. The mass met is that of the first histogram (of the target, for logits), NaN where a
number is negative or none. `share` is that of the histogram over which a gradient takes its mean.
"""

import math
from typing import Any

from ..primitives import intrinsics
from ..primitives.intrinsics import FOUR, Parts, cuda, device, types


class Source(Parts):
    """How the differences of a row are had; see above."""

    own: Any
    one: Any
    share: Any
    share_one: Any


class Columns(Parts):
    """How the columns of a row are read and written: a thread's own, or one."""

    own: Any
    one: Any
    put_own: Any
    put_one: Any


def columns(form, count):
    """The `Columns` of rows of a `Format`, where a thread has `count` of them, which is a multiple of four.

    A row is an address and the step from column to column, in bytes.
    """
    size, wide, read, read_four = form.size, form.wide, form.read, form.read_four
    write, write_four = form.write, form.write_four

    @device
    def one(row, step, j, n):
        if j < n:
            return read(row + j * step)
        return 0.0

    @device
    def own(row, step, j, n, x):
        here = row + j * step
        whole = step == size and here % wide == 0
        for k in range(0, count, FOUR):
            if whole and j + k + FOUR <= n:
                x[k], x[k + 1], x[k + 2], x[k + 3] = read_four(here + k * size)
            else:
                for i in range(k, k + FOUR):
                    x[i] = one(row, step, j + i, n)

    @device
    def put_one(row, step, j, n, x):
        if j < n:
            write(row + j * step, x)

    @device
    def put_own(row, step, j, n, x):
        here = row + j * step
        whole = step == size and here % wide == 0
        for k in range(0, count, FOUR):
            if whole and j + k + FOUR <= n:
                write_four(here + k * size, x[k], x[k + 1], x[k + 2], x[k + 3])
            else:
                for i in range(k, k + FOUR):
                    put_one(row, step, j + i, n, x[i])

    return Columns(own=own, one=one, put_own=put_own, put_one=put_one)


@device
def _met(a, b):
    """The mass a, NaN where a or b is no mass."""
    return a if a >= 0.0 and b >= 0.0 else math.nan


def pair(a_form, b_form, normalized, over_b, count):
    """The source of two rows: s = (row a, step, row b, step, 1 / mass of a, of b).

    The factors count where `normalized` says so, a flag for each. `over_b`: whether `share` is that of b.
    """
    a_columns, b_columns = columns(a_form, count), columns(b_form, count)
    a_normalized, b_normalized = normalized

    @device
    def weighed(s, a, b):
        if a_normalized:
            a *= s[4]
        if b_normalized:
            b *= s[5]
        return intrinsics.plus(a, -b)

    @device
    def own(s, j, n, d):
        b = cuda.local.array(count, types.float64)
        a_columns.own(s[0], s[1], j, n, d)
        b_columns.own(s[2], s[3], j, n, b)
        mass = 0.0
        for k in range(count):
            mass += _met(d[k], b[k])
            d[k] = weighed(s, d[k], b[k])
        return mass

    @device
    def one(s, j, n):
        a = a_columns.one(s[0], s[1], j, n)
        b = b_columns.one(s[2], s[3], j, n)
        return weighed(s, a, b), _met(a, b)

    @device
    def share_one(s, j, n):
        if over_b:
            return b_columns.one(s[2], s[3], j, n) * s[5]
        return a_columns.one(s[0], s[1], j, n) * s[4]

    @device
    def share(s, j, n, d):
        for k in range(count):
            d[k] = share_one(s, j + k, n)

    return Source(own=own, one=one, share=share, share_one=share_one)


def softmax(z_form, target_form, classes, normalized, team):
    """The source of p = softmax(z) less a target.

    s = (row z, step, row of the target or the class, step, 1 / mass of the target, largest logit, what makes the
    exponentials sum to 1, numbers that a thread keeps, one for each of its columns). Where a row is no longer than a
    tile, what is kept are the exponentials of its own columns, so that they are computed once.
    """
    count, tile = team.columns, team.tile
    z_columns = columns(z_form, count)
    target_columns = None if classes else columns(target_form, count)
    keep = keeping(z_form, count)

    @device
    def target_one(s, j, n):
        if classes:
            return 1.0 if j == s[2] else 0.0
        x = target_columns.one(s[2], s[3], j, n)
        if normalized:
            x *= s[4]
        return x

    @device
    def target_own(s, j, n, x):
        if classes:
            for k in range(count):
                x[k] = 1.0 if j + k == s[2] else 0.0
        else:
            target_columns.own(s[2], s[3], j, n, x)
            if normalized:
                for k in range(count):
                    x[k] *= s[4]

    @device
    def chance(s, j, n):
        if j < n:
            return math.exp(z_columns.one(s[0], s[1], j, n) - s[5])
        return 0.0

    @device
    def own(s, j, n, d):
        kept = s[7]
        if n > tile:
            keep(s[0], s[1], j, n, s[5], kept)
        target_own(s, j, n, d)
        mass = 0.0
        for k in range(count):
            mass = intrinsics.plus(mass, _met(d[k], d[k]))
            d[k] = intrinsics.plus(kept[k] * s[6], -d[k])
        return mass

    @device
    def one(s, j, n):
        x = target_one(s, j, n)
        return intrinsics.plus(chance(s, j, n) * s[6], -x), _met(x, x)

    @device
    def share(s, j, n, d):
        kept = s[7]
        if n > tile:
            keep(s[0], s[1], j, n, s[5], kept)
        for k in range(count):
            d[k] = kept[k] * s[6]

    @device
    def share_one(s, j, n):
        return chance(s, j, n) * s[6]

    return Source(own=own, one=one, share=share, share_one=share_one)


def keeping(z_form, count):
    """The function that leaves the exponentials of a thread's logits less the largest in `kept`; returns their sum."""
    z_columns = columns(z_form, count)

    @device
    def keep(row, step, j, n, top, kept):
        z_columns.own(row, step, j, n, kept)
        total = 0.0
        for k in range(count):
            kept[k] = math.exp(kept[k] - top) if j + k < n else 0.0
            total = intrinsics.plus(total, kept[k])
        return total

    return keep


def topping(form, count):
    """The function that returns the largest of a thread's logits and `top`; x is left with the logits."""
    read = columns(form, count)

    @device
    def highest(row, step, j, n, top, x):
        read.own(row, step, j, n, x)
        for k in range(count):
            if j + k < n and not x[k] <= top:
                top = x[k]
        return top

    return highest


def weighing(form, count):
    """The function that returns the mass of a thread's columns; x is left with them."""
    read = columns(form, count)

    @device
    def weigh(row, step, j, n, x):
        read.own(row, step, j, n, x)
        mass = 0.0
        for k in range(count):
            mass += _met(x[k], x[k])
        return mass

    return weigh


@device
def factor_of(mass):
    """1 / mass; NaN where that is no factor (a negative mass, none at all)."""
    return 1.0 / mass if SMALLEST_MASS <= mass < math.inf else math.nan


def scaling(form, team):
    """The function of a row that gives the `factor_of` its mass."""
    weigh = weighing(form, team.columns)

    @device
    def factor(row, step, n, x):
        mass = 0.0
        for first in range(0, n, team.tile):
            mass += team.total(weigh(row, step, first + team.columns * team.member(), n, x))
        return factor_of(mass)

    return factor


def softmaxing(form, team):
    """The function that returns the largest logit of a row, and what makes the exponentials less it sum to 1.

    `kept` is left with the exponentials of the thread's own columns in the last tile.
    """
    highest, keep = topping(form, team.columns), keeping(form, team.columns)

    @device
    def softmax(row, step, n, kept):
        top = -math.inf
        for first in range(0, n, team.tile):
            top = highest(row, step, first + team.columns * team.member(), n, top, kept)
        top = team.most(top)
        whole = 0.0
        for first in range(0, n, team.tile):
            whole += team.total(keep(row, step, first + team.columns * team.member(), n, top, kept))
        return top, 1.0 / whole

    return softmax


SMALLEST_MASS = 2.0**-1022
