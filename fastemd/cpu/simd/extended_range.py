"""Positive numbers that sums along paths are made of: lanes as they are, or lanes of any size.

`exp(-distance / reg)` leaves the range of float64 where reg is small beside the space. A *wide* number is a pair of
lanes (s, e) that stands for s * 2**e, with s in 1..2 and a whole number e that float64 holds exactly; so sums of
exponentials never over- or underflow, and adding up takes no exponential or logarithm. Sweeps are written once, with
the functions of this module; they work on plain lanes where the `power` of a space's weights is None, on wide numbers
where it is an array of exponents.
"""

import numpy as np
from numba import njit, types
from numba.extending import overload

from .exp_log import (
    EXP,
    LN_2_HIGH,
    LN_2_LOW,
    LOG2_E,
    _exponent,
    _mantissa,
    _nearest,
    _polynomial,
    _power_of_two,
    exp,
    log,
)
from .lanes import INLINE, Lanes, get, lanes, maximum, minimum, put, select

LEAST = -1e15  # the exponent that stands for 0
PLAIN = 300.0  # largest distance / reg for plain lanes: sums stay above exp(-300) times the largest weight
NEGLIGIBLE = -345.0  # weights below exp(-345) times the largest are 0, lest products with exp(-300) be subnormal


@njit(**INLINE)
def _normal(s, e):
    return _mantissa(s), e + _exponent(s)


def nothing(power):
    """The number 0."""


@overload(nothing, jit_options=INLINE)
def _nothing(power):
    if isinstance(power, types.NoneType):
        return lambda power: lanes(0.0)
    return lambda power: (lanes(1.0), lanes(LEAST))


def seed(x, top, power):
    """e**x; for plain numbers, divided by e**top."""


@overload(seed, jit_options=INLINE)
def _seed(x, top, power):
    if isinstance(power, types.NoneType):
        return lambda x, top, power: select(x - top < NEGLIGIBLE, 0.0, exp(x - top))

    def wide(x, top, power):
        none = x < LEAST
        x = select(none, 0.0, x)
        k = _nearest(x * LOG2_E)
        s, e = _normal(_polynomial(EXP, x - k * LN_2_HIGH - k * LN_2_LOW), k)
        return select(none, 1.0, s), select(none, LEAST, e)

    return wide


def plus(x, y):
    """X + y."""


@overload(plus, jit_options=INLINE)
def _plus(x, y):
    if x == Lanes:
        return lambda x, y: x + y

    def wide(x, y):
        apart = x[1] - y[1]
        first = apart >= 0.0
        larger, smaller = select(first, x[0], y[0]), select(first, y[0], x[0])
        s = larger + smaller * _power_of_two(maximum(-abs(apart), lanes(-1000.0)))
        return _normal(s, select(first, x[1], y[1]))

    return wide


def times(x, weight, power, i):
    """X times the weight of index i."""


@overload(times, jit_options=INLINE)
def _times(x, weight, power, i):
    if isinstance(power, types.NoneType):
        return lambda x, weight, power, i: x * weight[i]
    return lambda x, weight, power, i: (x[0] * weight[i], x[1] + power[i])


def stretched(x, factor):
    """X times a number of ordinary size, at least 0."""


@overload(stretched, jit_options=INLINE)
def _stretched(x, factor):
    if x == Lanes:
        return lambda x, factor: x * factor
    return lambda x, factor: _normal(x[0] * factor, x[1])


def product(x, y, scale):
    """X * y as plain lanes; for plain numbers, times `scale`."""


@overload(product, jit_options=INLINE)
def _product(x, y, scale):
    if x == Lanes:
        return lambda x, y, scale: x * y * scale
    return lambda x, y, scale: x[0] * y[0] * _power_of_two(maximum(minimum(x[1] + y[1], lanes(1000.0)), lanes(-1000.0)))


def logarithm(x, top):
    """Ln x; for plain numbers, plus `top`."""


@overload(logarithm, jit_options=INLINE)
def _logarithm(x, top):
    if x == Lanes:
        return lambda x, top: top + log(x)
    return lambda x, top: x[1] * LN_2_HIGH + (x[1] * LN_2_LOW + log(x[0]))


def stow(buffer, i, x):
    """Put a number into place i of a buffer: one slot, or two."""


@overload(stow, jit_options=INLINE)
def _stow(buffer, i, x):
    if x == Lanes:
        return lambda buffer, i, x: put(buffer, i, x)

    def wide(buffer, i, x):
        put(buffer, 2 * i, x[0])
        put(buffer, 2 * i + 1, x[1])

    return wide


def fetch(buffer, i, power):
    """The number in place i of a buffer."""


@overload(fetch, jit_options=INLINE)
def _fetch(buffer, i, power):
    if isinstance(power, types.NoneType):
        return lambda buffer, i, power: get(buffer, i)
    return lambda buffer, i, power: (get(buffer, 2 * i), get(buffer, 2 * i + 1))


def weights(exponents, wide):
    """e**-exponents as the arrays `weight` and `power`; power is None for plain numbers."""
    if not wide:
        return np.exp(-exponents), None
    binary = -exponents * LOG2_E
    power = np.floor(binary)
    high = -exponents - power * LN_2_HIGH  # what is left, in 0..ln 2, without the rounding of `binary`
    return np.exp(high - power * LN_2_LOW), power
