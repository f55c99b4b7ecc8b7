"""Numbers in memory: how each dtype is read into float64, and how float64 is rounded to it, once.

`format_of(name)` gives, for the dtype of that name,

    size                    its bytes
    wide                    what an address has to be a multiple of, for four numbers to be read or written at once
    read(address)           a number
    read_four(address)      four, side by side
    write(address, x)       round x and write it
    write_four(address, ..) four, side by side
"""

import functools
from typing import Any

from . import intrinsics
from .intrinsics import FOUR, Parts, device, types

PLAIN = {
    "float32": types.float32,
    "float64": types.float64,
    **{f"{sign}int{bits}": getattr(types, f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class Format(Parts):
    """How a dtype lies in memory; see above."""

    size: int
    wide: int
    read: Any
    read_four: Any
    write: Any
    write_four: Any


@device
def _from_half(bits):
    return types.float64(intrinsics.float_of_half(bits))


@device
def _to_half(x):
    return intrinsics.half_of_double(x)


@device
def _from_bfloat(bits):
    """A bfloat16 is the upper half of a float32."""
    return types.float64(intrinsics.float_of_bits(types.uint32(bits) << types.uint32(16)))


@device
def _to_bfloat(x):
    """Round to the nearest, ties to even; what float32 cuts off is kept as its last bit, so that it rounds once."""
    if x != x:
        return types.uint16(0x7FC0)
    cut = intrinsics.float_towards_zero(x)
    bits = intrinsics.bits_of_float(cut)
    if types.float64(cut) != x:
        bits |= types.uint32(1)
    bits += types.uint32(0x7FFF) + ((bits >> types.uint32(16)) & types.uint32(1))
    return types.uint16(bits >> types.uint32(16))


@functools.cache
def format_of(name):
    """The `Format` of a dtype by its name: float16, bfloat16, float32, float64 or an integer's."""
    stored = PLAIN.get(name, types.uint16)
    size = stored.bitwidth // 8
    if name == "float16":
        widen, narrow = _from_half, _to_half
    elif name == "bfloat16":
        widen, narrow = _from_bfloat, _to_bfloat
    else:
        widen, narrow = device(_widened), device(_narrowed(stored))

    @device
    def read(address):
        return widen(intrinsics.load(address, stored))

    @device
    def read_four(address):
        a, b, c, d = intrinsics.load_four(address, stored)
        return widen(a), widen(b), widen(c), widen(d)

    @device
    def write(address, x):
        intrinsics.store(address, narrow(x))

    @device
    def write_four(address, a, b, c, d):
        intrinsics.store_four(address, narrow(a), narrow(b), narrow(c), narrow(d))

    wide = min(16, FOUR * size)
    return Format(size=size, wide=wide, read=read, read_four=read_four, write=write, write_four=write_four)


def _widened(x):
    return types.float64(x)


def _narrowed(stored):
    def narrow(x):
        return stored(x)

    return narrow
