"""exp, ln and x**y of lanes, by range reduction and a polynomial.

Calls of the C library, one for each lane, would take several times as long.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from .lanes import INLINE, WHOLE, WIDTH, Lanes, broadcast, call, constant, lanes, select


@intrinsic
def nearest(typing, x):
    """Return x rounded to the nearest whole number, ties to even."""
    return Lanes(x), lambda context, builder, signature, arguments: call(builder, "llvm.rint", arguments)


@intrinsic
def multiply_add(typing, x, y, z):
    """Return x * y + z, rounded once where the processor has an instruction for it."""

    def codegen(context, builder, signature, arguments):
        vectors = [broadcast(context, builder, v, t) for v, t in zip(arguments, (x, y, z), strict=True)]
        return call(builder, "llvm.fmuladd", vectors)

    return Lanes(x, y, z), codegen


# An integer is moved between the mantissa and the exponent of a float64 by adding a number so large that its last digit
# counts ones: processors before AVX-512 convert integers of 64 bits one by one.


@intrinsic
def power_of_two(typing, k):
    """Return 2**k for whole k in -1022..1023, by writing the exponent bits."""

    def codegen(context, builder, signature, arguments):
        shifted = builder.bitcast(builder.fadd(arguments[0], constant(1.5 * 2.0**52)), WHOLE)
        exponent = builder.add(shifted, ir.Constant(WHOLE, [1023] * WIDTH))
        return builder.bitcast(builder.shl(exponent, ir.Constant(WHOLE, [52] * WIDTH)), Lanes.llvm)

    return Lanes(k), codegen


@intrinsic
def exponent_of(typing, x):
    """Return the whole number k with 2**k <= x < 2**(k + 1), of normal x > 0, from the exponent bits."""

    def codegen(context, builder, signature, arguments):
        exponent = builder.lshr(builder.bitcast(arguments[0], WHOLE), ir.Constant(WHOLE, [52] * WIDTH))
        shifted = builder.or_(exponent, ir.Constant(WHOLE, [(1023 + 52) << 52] * WIDTH))
        return builder.fsub(builder.bitcast(shifted, Lanes.llvm), constant(2.0**52 + 1023.0))

    return Lanes(x), codegen


@intrinsic
def mantissa_of(typing, x):
    """Return x / 2**k in 1..2, of normal x > 0."""

    def codegen(context, builder, signature, arguments):
        bits = builder.and_(builder.bitcast(arguments[0], WHOLE), ir.Constant(WHOLE, [(1 << 52) - 1] * WIDTH))
        return builder.bitcast(builder.or_(bits, ir.Constant(WHOLE, [1023 << 52] * WIDTH)), Lanes.llvm)

    return Lanes(x), codegen


LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
LN_2_HIGH = 0.6931471803691238  # ln 2 to 33 bits, so that k * LN_2_HIGH is exact
LN_2_LOW = 1.9082149292705877e-10  # ln 2 - LN_2_HIGH
SQRT_2 = 1.4142135623730951
SMALLEST = 2.2250738585072014e-308  # normal float64
EXP = tuple(1.0 / math.factorial(k) for k in range(14))
LOG2 = tuple(2.0 * LOG2_E / (2 * k + 1) for k in range(12))
LN = tuple(2.0 / (2 * k + 1) for k in range(12))


@njit(**INLINE)
def polynomial(coefficients, x):
    """Sum coefficients[k] * x**k, an even number of them, as two sums in x * x that do not depend on each other."""
    square = x * x
    even, odd = lanes(coefficients[-2]), lanes(coefficients[-1])
    for k in range(len(coefficients) - 4, -1, -2):
        even = multiply_add(even, square, coefficients[k])
        odd = multiply_add(odd, square, coefficients[k + 1])
    return multiply_add(odd, x, even)


@njit(nogil=True)
def exp(x):
    """Return exp(x) for x <= 709 within 3 ulps; 0 below -708, where exp(x) is no normal float64 any more; NaN for NaN.

    x = k ln 2 + r with whole k and abs(r) <= 0.35, where 14 terms of the series leave less than 2e-16.
    """
    k = nearest(select(x < -708.0, 0.0, x) * LOG2_E)
    r = multiply_add(k, -LN_2_LOW, multiply_add(k, -LN_2_HIGH, select(x < -708.0, 0.0, x)))
    return select(x < -708.0, 0.0, polynomial(EXP, r) * power_of_two(k))


@njit(**INLINE)
def _reduced(x):
    """Return k and s = (m - 1) / (m + 1) with x = 2**k m and m in sqrt(1 / 2)..sqrt(2), for x > 0."""
    tiny = x < SMALLEST
    normal = select(tiny, x * 18014398509481984.0, x)
    k, m = exponent_of(normal) - select(tiny, 54.0, 0.0), mantissa_of(normal)
    k, m = k + select(m > SQRT_2, 1.0, 0.0), m * select(m > SQRT_2, 0.5, 1.0)
    return k, (m - 1.0) / (m + 1.0)


@njit(nogil=True)
def log(x):
    """Return ln x for x >= 0 within 3 ulps: -inf at 0, inf at infinity, NaN for NaN.

    x = 2**k m with m around 1, and ln m = 2 artanh((m - 1) / (m + 1)), of which 12 terms leave less than 2e-17.
    """
    k, s = _reduced(x)
    result = multiply_add(k, LN_2_HIGH, multiply_add(s, polynomial(LN, s * s), k * LN_2_LOW))
    result = select(x == 0.0, -np.inf, select(x == np.inf, np.inf, result))
    return select(x == x, result, x)


@njit(nogil=True)
def power(x, exponent):
    """Return x**exponent for x >= 0 and exponent > 0, within some 2 + 2 * exponent ulps.

    x = 2**k m with m around 1, log2 m = 2 log2(e) artanh((m - 1) / (m + 1)), and the result is
    2**(exponent * (k + log2 m)). Of the product with k only the fraction is rounded, so large and small x lose no more
    digits than those near 1.
    """
    k, s = _reduced(x)
    log2_m = s * polynomial(LOG2, s * s)
    high = np.float64(np.float32(exponent))
    whole = nearest(k * high)
    rest = (k * high - whole) + (k * (exponent - high) + log2_m * exponent)
    step = nearest(rest)
    whole = whole + step
    whole = select(whole > 1030.0, 1030.0, select(whole < -1080.0, -1080.0, whole))  # infinite, or 0, already
    half = nearest(0.5 * whole)
    result = polynomial(EXP, (rest - step) * LN_2) * power_of_two(half) * power_of_two(whole - half)
    result = select(x == 0.0, 0.0, select(x == np.inf, np.inf, result))
    return select(x == x, result, x)


@overload(operator.pow)
def _power_of_lanes(x, exponent):
    if x == Lanes and isinstance(exponent, types.Number | types.Literal):
        return lambda x, exponent: power(x, np.float64(exponent))
    return None
