"""Nonnegative numbers of extended range, a mantissa and an exponent each, and plain lanes by the same functions.

`exp(-distance / reg)` leaves the range of float64 where reg is small beside the space. A number of extended range is a
pair of lanes (s, e) that stands for s * 2**e, with s in 1..2 and a whole number e that float64 holds exactly. So sums
of exponentials never over- or underflow, and additions take no exponential or logarithm. Sweeps are written once, with
the functions of this module. Numbers are plain lanes where the `exponent` of a space's weights is None, and pairs where
it is an array of exponents.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from .exp_log import (
    EXP,
    LN_2_HIGH,
    LN_2_LOW,
    LOG2_E,
    exp,
    exponent_of,
    log,
    mantissa_of,
    nearest,
    polynomial,
    power_of_two,
)
from .lanes import INLINE, Lanes, lanes, load, maximum, minimum, select, store

ZERO_EXPONENT = -1e15  # the exponent that stands for 0
# Weights below exp(-345) times the largest are 0: their product with exp(-PLAIN_RANGE) would be subnormal.
NEGLIGIBLE = -345.0


@njit(**INLINE)
def _normalized(s, e):
    return mantissa_of(s), e + exponent_of(s)


def zero(exponent):
    """The number 0."""


@overload(zero, jit_options=INLINE)
def _zero(exponent):
    if isinstance(exponent, types.NoneType):
        return lambda exponent: lanes(0.0)
    return lambda exponent: (lanes(1.0), lanes(ZERO_EXPONENT))


def exponential(x, top, exponent):
    """Return exp(x), given lanes x; for plain numbers, divided by exp(top)."""


@overload(exponential, jit_options=INLINE)
def _exponential(x, top, exponent):
    if isinstance(exponent, types.NoneType):
        return lambda x, top, exponent: select(x - top < NEGLIGIBLE, 0.0, exp(x - top))

    def extended(x, top, exponent):
        none = x < ZERO_EXPONENT
        x = select(none, 0.0, x)
        k = nearest(x * LOG2_E)
        s, e = _normalized(polynomial(EXP, x - k * LN_2_HIGH - k * LN_2_LOW), k)
        return select(none, 1.0, s), select(none, ZERO_EXPONENT, e)

    return extended


def add(x, y):
    """Add two numbers."""


@overload(add, jit_options=INLINE)
def _add(x, y):
    if x == Lanes:
        return lambda x, y: x + y

    def extended(x, y):
        apart = x[1] - y[1]
        first = apart >= 0.0
        larger, smaller = select(first, x[0], y[0]), select(first, y[0], x[0])
        s = larger + smaller * power_of_two(maximum(-abs(apart), lanes(-1000.0)))
        return _normalized(s, select(first, x[1], y[1]))

    return extended


def times_weight(x, weight, exponent, i):
    """Multiply x by the weight of index i."""


@overload(times_weight, jit_options=INLINE)
def _times_weight(x, weight, exponent, i):
    if isinstance(exponent, types.NoneType):
        return lambda x, weight, exponent, i: x * weight[i]
    return lambda x, weight, exponent, i: (x[0] * weight[i], x[1] + exponent[i])


def scaled(x, factor):
    """Multiply x by lanes or a float of ordinary size, at least 0."""


@overload(scaled, jit_options=INLINE)
def _scaled(x, factor):
    if x == Lanes:
        return lambda x, factor: x * factor
    return lambda x, factor: _normalized(x[0] * factor, x[1])


def product(x, y, scale):
    """Return x * y as plain lanes; for plain numbers, times `scale`."""


@overload(product, jit_options=INLINE)
def _product(x, y, scale):
    if x == Lanes:
        return lambda x, y, scale: x * y * scale
    return lambda x, y, scale: x[0] * y[0] * power_of_two(maximum(minimum(x[1] + y[1], lanes(1000.0)), lanes(-1000.0)))


def logarithm(x, top):
    """Return ln x as plain lanes; for plain numbers, plus `top`."""


@overload(logarithm, jit_options=INLINE)
def _logarithm(x, top):
    if x == Lanes:
        return lambda x, top: top + log(x)
    return lambda x, top: x[1] * LN_2_HIGH + (x[1] * LN_2_LOW + log(x[0]))


def store_number(scratch, i, x):
    """Store a number into entry i of scratch: one slot, or two."""


@overload(store_number, jit_options=INLINE)
def _store_number(scratch, i, x):
    if x == Lanes:
        return lambda scratch, i, x: store(scratch, i, x)

    def extended(scratch, i, x):
        store(scratch, 2 * i, x[0])
        store(scratch, 2 * i + 1, x[1])

    return extended


def load_number(scratch, i, exponent):
    """Load the number in entry i of scratch."""


@overload(load_number, jit_options=INLINE)
def _load_number(scratch, i, exponent):
    if isinstance(exponent, types.NoneType):
        return lambda scratch, i, exponent: load(scratch, i)
    return lambda scratch, i, exponent: (load(scratch, 2 * i), load(scratch, 2 * i + 1))


def weights(x, extended):
    """Return exp(-x) as the arrays `weight` and `exponent`; `exponent` is None for plain numbers."""
    if not extended:
        return np.exp(-x), None
    binary = -x * LOG2_E
    exponent = np.floor(binary)
    high = -x - exponent * LN_2_HIGH  # the remainder, in 0..ln 2, without the rounding of `binary`
    return np.exp(high - exponent * LN_2_LOW), exponent
