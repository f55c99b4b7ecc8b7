"""e**x, ln x and x**y of lanes, by range reduction and a polynomial.

Calling the C library for each lane would take several times as long.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from .lanes import INLINE, WHOLE, WIDTH, Lanes, call, constant, lanes, select, widened


@intrinsic
def _nearest(typing, x):
    return Lanes(x), lambda context, builder, signature, arguments: call(builder, "llvm.rint", arguments)


@intrinsic
def _fused(typing, x, y, z):
    """X * y + z, rounded once where the processor has an instruction for it."""

    def codegen(context, builder, signature, arguments):
        wide = [widened(context, builder, v, t) for v, t in zip(arguments, (x, y, z), strict=True)]
        return call(builder, "llvm.fmuladd", wide)

    return Lanes(x, y, z), codegen


# Whole numbers pass between the digits and the exponent of a float64 by adding a number so large that its last digit
# counts ones: processors before AVX-512 convert integers of 64 bits one by one.


@intrinsic
def _power_of_two(typing, k):
    """2**k for whole k in -1022..1023, made by writing the exponent bits."""

    def codegen(context, builder, signature, arguments):
        shifted = builder.bitcast(builder.fadd(arguments[0], constant(1.5 * 2.0**52)), WHOLE)
        exponent = builder.add(shifted, ir.Constant(WHOLE, [1023] * WIDTH))
        return builder.bitcast(builder.shl(exponent, ir.Constant(WHOLE, [52] * WIDTH)), Lanes.llvm)

    return Lanes(k), codegen


@intrinsic
def _exponent(typing, x):
    """The whole number k with 2**k <= x < 2**(k + 1), of normal x > 0, read from the exponent bits."""

    def codegen(context, builder, signature, arguments):
        exponent = builder.lshr(builder.bitcast(arguments[0], WHOLE), ir.Constant(WHOLE, [52] * WIDTH))
        shifted = builder.or_(exponent, ir.Constant(WHOLE, [(1023 + 52) << 52] * WIDTH))
        return builder.fsub(builder.bitcast(shifted, Lanes.llvm), constant(2.0**52 + 1023.0))

    return Lanes(x), codegen


@intrinsic
def _mantissa(typing, x):
    """X / 2**k in 1..2, of normal x > 0."""

    def codegen(context, builder, signature, arguments):
        bits = builder.and_(builder.bitcast(arguments[0], WHOLE), ir.Constant(WHOLE, [(1 << 52) - 1] * WIDTH))
        return builder.bitcast(builder.or_(bits, ir.Constant(WHOLE, [1023 << 52] * WIDTH)), Lanes.llvm)

    return Lanes(x), codegen


LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
LN_2_HIGH = 0.6931471803691238  # ln 2 to 33 bits, so that k * LN_2_HIGH is exact
LN_2_LOW = 1.9082149292705877e-10  # what is left of ln 2
SQRT_2 = 1.4142135623730951
SMALLEST = 2.2250738585072014e-308  # normal float64
EXP = tuple(1.0 / math.factorial(k) for k in range(14))
LOG2 = tuple(2.0 * LOG2_E / (2 * k + 1) for k in range(12))
LN = tuple(2.0 / (2 * k + 1) for k in range(12))


@njit(**INLINE)
def _polynomial(coefficients, x):
    """Sum coefficients[k] * x**k, an even number of them, as two sums in x * x that do not wait for each other."""
    square = x * x
    even, odd = lanes(coefficients[-2]), lanes(coefficients[-1])
    for k in range(len(coefficients) - 4, -1, -2):
        even = _fused(even, square, coefficients[k])
        odd = _fused(odd, square, coefficients[k + 1])
    return _fused(odd, x, even)


@njit(nogil=True)
def exp(x):
    """e**x for x <= 709 within 3 ulps; 0 below -708, where e**x is no normal float64 any more; NaN for NaN.

    x = k ln 2 + r with whole k and abs(r) <= 0.35, where 14 terms of the series leave less than 2e-16.
    """
    k = _nearest(select(x < -708.0, 0.0, x) * LOG2_E)
    r = _fused(k, -LN_2_LOW, _fused(k, -LN_2_HIGH, select(x < -708.0, 0.0, x)))
    return select(x < -708.0, 0.0, _polynomial(EXP, r) * _power_of_two(k))


@njit(nogil=True)
def log(x):
    """Ln x for x >= 0 within 3 ulps: -inf at 0, inf at infinity, NaN for NaN.

    x = 2**k m with m around 1, and ln m = 2 artanh((m - 1) / (m + 1)), of which 12 terms leave less than 2e-17.
    """
    tiny = x < SMALLEST
    normal = select(tiny, x * 18014398509481984.0, x)
    k, m = _exponent(normal) - select(tiny, 54.0, 0.0), _mantissa(normal)
    k, m = k + select(m > SQRT_2, 1.0, 0.0), m * select(m > SQRT_2, 0.5, 1.0)
    s = (m - 1.0) / (m + 1.0)
    result = _fused(k, LN_2_HIGH, _fused(s, _polynomial(LN, s * s), k * LN_2_LOW))
    result = select(x == 0.0, -np.inf, select(x == np.inf, np.inf, result))
    return select(x == x, result, x)


@njit(nogil=True)
def power(x, exponent):
    """x**exponent for x >= 0 and exponent > 0, within some 2 + 2 * exponent ulps.

    x = 2**k m with m around 1, log2 m = 2 log2(e) artanh((m - 1) / (m + 1)), and 2**(exponent * (k + log2 m)). Of the
    product with k only the fraction is rounded, so large and small x lose no more digits than those near 1.
    """
    tiny = x < SMALLEST
    normal = select(tiny, x * 18014398509481984.0, x)
    k, m = _exponent(normal) - select(tiny, 54.0, 0.0), _mantissa(normal)
    k, m = k + select(m > SQRT_2, 1.0, 0.0), m * select(m > SQRT_2, 0.5, 1.0)
    s = (m - 1.0) / (m + 1.0)
    log2_m = s * _polynomial(LOG2, s * s)
    high = np.float64(np.float32(exponent))
    whole = _nearest(k * high)
    rest = (k * high - whole) + (k * (exponent - high) + log2_m * exponent)
    step = _nearest(rest)
    whole = whole + step
    whole = select(whole > 1030.0, 1030.0, select(whole < -1080.0, -1080.0, whole))  # already infinite, already 0
    half = _nearest(0.5 * whole)
    result = _polynomial(EXP, (rest - step) * LN_2) * _power_of_two(half) * _power_of_two(whole - half)
    result = select(x == 0.0, 0.0, select(x == np.inf, np.inf, result))
    return select(x == x, result, x)


@overload(operator.pow)
def _power_of_lanes(x, exponent):
    if x == Lanes and isinstance(exponent, types.Number | types.Literal):
        return lambda x, exponent: power(x, np.float64(exponent))
    return None
