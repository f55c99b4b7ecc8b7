"""Where a sweep's differences come from: two rows of histograms, or the softmax of logits against a target.

A kernel hands a *source* the tuple `s` that describes one row, and a thread asks it for four neighbouring columns, or
for one. A source is made for the dtypes at hand, and gives

    four(s, j, n, d)    put the differences of columns j..j+3 into d; return the mass met
    one(s, j, n)        the difference at column j, and the mass met
    share(s, j, n, d)   the mass at columns j..j+3, into d
    share_one(s, j, n)  the mass at column j

Columns from n on hold nothing. The mass met is that of the first histogram (of the target, for logits), NaN where a
number is negative or none. `share` is that of the histogram over which a gradient takes its mean.
"""

import math
from typing import Any

from .target import FOUR, Parts, cuda, device


class Source(Parts):
    """How the differences of a row are had; see above."""

    four: Any
    one: Any
    share: Any
    share_one: Any


class Columns(Parts):
    """How the columns of a row are read and written: `four` at once, or `one`; `put_four` and `put_one`."""

    four: Any
    one: Any
    put_four: Any
    put_one: Any


def columns(form):
    """The `Columns` of rows of a `Format`. A row is an address and the step from column to column, in bytes."""
    size, wide, read, read_four = form.size, form.wide, form.read, form.read_four
    write, write_four = form.write, form.write_four

    @device
    def one(row, step, j, n):
        if j < n:
            return read(row + j * step)
        return 0.0

    @device
    def four(row, step, j, n):
        here = row + j * step
        if step == size and j + FOUR <= n and here % wide == 0:
            return read_four(here)
        return one(row, step, j, n), one(row, step, j + 1, n), one(row, step, j + 2, n), one(row, step, j + 3, n)

    @device
    def put_one(row, step, j, n, x):
        if j < n:
            write(row + j * step, x)

    @device
    def put_four(row, step, j, n, x):
        here = row + j * step
        if step == size and j + FOUR <= n and here % wide == 0:
            write_four(here, x[0], x[1], x[2], x[3])
        else:
            for k in range(FOUR):
                put_one(row, step, j + k, n, x[k])

    return Columns(four=four, one=one, put_four=put_four, put_one=put_one)


@device
def _met(a, b):
    """The mass a, NaN where a or b is no mass."""
    return a if a >= 0.0 and b >= 0.0 else math.nan


def pair(a_form, b_form, normalized, over_b):
    """The source of two rows: s = (row a, step, row b, step, 1 / mass of a, of b).

    The factors count where `normalized` says so, a flag for each. `over_b`: whether `share` is that of b.
    """
    a_columns, b_columns = columns(a_form), columns(b_form)
    a_normalized, b_normalized = normalized

    @device
    def weighed(s, a, b):
        if a_normalized:
            a *= s[4]
        if b_normalized:
            b *= s[5]
        return a - b

    @device
    def four(s, j, n, d):
        a = a_columns.four(s[0], s[1], j, n)
        b = b_columns.four(s[2], s[3], j, n)
        mass = 0.0
        for k in range(FOUR):
            mass += _met(a[k], b[k])
            d[k] = weighed(s, a[k], b[k])
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
        for k in range(FOUR):
            d[k] = share_one(s, j + k, n)

    return Source(four=four, one=one, share=share, share_one=share_one)


def softmax(z_form, target_form, classes, normalized, tile):
    """The source of p = softmax(z) less a target.

    s = (row z, step, row of the target or the class, step, 1 / mass of the target, largest logit, what makes the
    exponentials sum to 1, four numbers that a thread keeps). Where a row is no longer than a `tile`, what is kept are
    the exponentials of its own columns, so that they are computed once.
    """
    z_columns = columns(z_form)
    target_columns = None if classes else columns(target_form)

    @device
    def target_one(s, j, n):
        if classes:
            return 1.0 if j == s[2] else 0.0
        x = target_columns.one(s[2], s[3], j, n)
        if normalized:
            x *= s[4]
        return x

    @device
    def target_four(s, j, n):
        if classes:
            return target_one(s, j, n), target_one(s, j + 1, n), target_one(s, j + 2, n), target_one(s, j + 3, n)
        x = target_columns.four(s[2], s[3], j, n)
        if normalized:
            return x[0] * s[4], x[1] * s[4], x[2] * s[4], x[3] * s[4]
        return x

    @device
    def chance(s, j, n):
        if j < n:
            return math.exp(z_columns.one(s[0], s[1], j, n) - s[5])
        return 0.0

    @device
    def four(s, j, n, d):
        kept = s[7]
        if n > tile:
            keep(s[0], s[1], j, n, s[5], kept)
        x = target_four(s, j, n)
        mass = 0.0
        for k in range(FOUR):
            mass += _met(x[k], x[k])
            d[k] = kept[k] * s[6] - x[k]
        return mass

    @device
    def one(s, j, n):
        x = target_one(s, j, n)
        return chance(s, j, n) * s[6] - x, _met(x, x)

    @device
    def share(s, j, n, d):
        kept = s[7]
        if n > tile:
            keep(s[0], s[1], j, n, s[5], kept)
        for k in range(FOUR):
            d[k] = kept[k] * s[6]

    @device
    def share_one(s, j, n):
        return chance(s, j, n) * s[6]

    keep = keeping(z_form)
    return Source(four=four, one=one, share=share, share_one=share_one)


def keeping(z_form):
    """The function that leaves the exponentials of four logits, less the largest, in `kept`; it returns their sum."""
    z_columns = columns(z_form)

    @device
    def keep(row, step, j, n, top, kept):
        z = z_columns.four(row, step, j, n)
        total = 0.0
        for k in range(FOUR):
            kept[k] = math.exp(z[k] - top) if j + k < n else 0.0
            total += kept[k]
        return total

    return keep


def scaling(form, team):
    """The function of a row that gives 1 / mass; NaN where that is no factor (a negative mass, none at all)."""
    read = columns(form)

    @device
    def factor(row, step, n):
        mass = 0.0
        for first in range(0, n, FOUR * team.size):
            x = read.four(row, step, first + FOUR * (cuda.threadIdx.x % team.size), n)
            mass += team.total(_met(x[0], x[0]) + _met(x[1], x[1]) + _met(x[2], x[2]) + _met(x[3], x[3]))
        return 1.0 / mass if SMALLEST_MASS <= mass < math.inf else math.nan

    return factor


SMALLEST_MASS = 2.0**-1022
