"""Scratch: float64 slots of a team, in shared memory or, where that is too small, in device memory.

A slot that one member has written can be read by the others after `team.meet()`.
"""

from typing import Any

from .dtypes import format_of
from .intrinsics import Parts, cuda, device, types

DOUBLE = format_of("float64")


class Scratch(Parts):
    """`get(slot, i)` and `put(slot, i, x)`, where `slot` says where a row's slots begin; and whether it is shared."""

    get: Any
    put: Any
    shared: bool


@device
def _get_shared(slot, i):
    return cuda.shared.array(0, types.float64)[slot + i]


@device
def _put_shared(slot, i, x):
    cuda.shared.array(0, types.float64)[slot + i] = x


@device
def _get(slot, i):
    return DOUBLE.read(slot + 8 * i)


@device
def _put(slot, i, x):
    DOUBLE.write(slot + 8 * i, x)


SHARED = Scratch(get=_get_shared, put=_put_shared, shared=True)
IN_MEMORY = Scratch(get=_get, put=_put, shared=False)
