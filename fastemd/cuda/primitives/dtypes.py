"""Dtypes in memory: each is loaded as float64, and a float64 is rounded to it once when it is stored."""

import functools
from typing import Any

from . import intrinsics
from .intrinsics import VECTOR, DeviceFunctions, device, types

NUMBA_TYPES = {
    "float32": types.float32,
    "float64": types.float64,
    **{f"{sign}int{bits}": getattr(types, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class Format(DeviceFunctions):
    """How a dtype is loaded and stored.

    size                        bytes of a number
    alignment                   of the address of four numbers
    load(address)               a number, as float64
    load_four(address)          four adjacent numbers
    store(address, x)           round x and store it
    store_four(address, ...)    four adjacent numbers
    """

    size: int
    alignment: int
    load: Any
    load_four: Any
    store: Any
    store_four: Any


@device
def _from_float16(bits):
    return types.float64(intrinsics.float_of_half(bits))


@device
def _to_float16(x):
    return intrinsics.half_of_double(x)


@device
def _from_bfloat16(bits):
    """A bfloat16 is the upper half of a float32."""
    return types.float64(intrinsics.float_of_bits(types.uint32(bits) << types.uint32(16)))


@device
def _to_bfloat16(x):
    """Round to nearest, ties to even. Bits beyond float32 set its last bit, so that the number is rounded once."""
    if x != x:
        return types.uint16(0x7FC0)
    truncated = intrinsics.float_towards_zero(x)
    bits = intrinsics.bits_of_float(truncated)
    if types.float64(truncated) != x:
        bits |= types.uint32(1)
    bits += types.uint32(0x7FFF) + ((bits >> types.uint32(16)) & types.uint32(1))
    return types.uint16(bits >> types.uint32(16))


@functools.cache
def format_of(name):
    """The `Format` of a dtype by its name: float16, bfloat16, float32, float64 or an integer."""
    stored = NUMBA_TYPES.get(name, types.uint16)
    size = stored.bitwidth // 8
    if name == "float16":
        widen, narrow = _from_float16, _to_float16
    elif name == "bfloat16":
        widen, narrow = _from_bfloat16, _to_bfloat16
    else:
        widen, narrow = device(_to_double), device(_rounding(stored))

    @device
    def load(address):
        return widen(intrinsics.load(address, stored))

    @device
    def load_four(address):
        a, b, c, d = intrinsics.load_four(address, stored)
        return widen(a), widen(b), widen(c), widen(d)

    @device
    def store(address, x):
        intrinsics.store(address, narrow(x))

    @device
    def store_four(address, a, b, c, d):
        intrinsics.store_four(address, narrow(a), narrow(b), narrow(c), narrow(d))

    alignment = min(16, VECTOR * size)
    return Format(size=size, alignment=alignment, load=load, load_four=load_four, store=store, store_four=store_four)


def _to_double(x):
    return types.float64(x)


def _rounding(stored):
    def narrow(x):
        return stored(x)

    return narrow
