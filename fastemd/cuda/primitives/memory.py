"""Scratch of a thread group: float64 slots in shared memory or, where that is too small, in global memory.

After `group.sync()` every thread of a group can load the slots that any of them has stored.
"""

from typing import Any

from .dtypes import format_of
from .intrinsics import DeviceFunctions, cuda, device, types

DOUBLE = format_of("float64")


class Scratch(DeviceFunctions):
    """Where slots are, and how they are accessed.

    load(scratch, slot)         `scratch` is where the slots of a row begin: an index of shared memory, or an address
    store(scratch, slot, x)
    shared                      whether slots are in shared memory
    """

    load: Any
    store: Any
    shared: bool


@device
def _load_shared(scratch, slot):
    return cuda.shared.array(0, types.float64)[types.uint32(scratch + slot)]


@device
def _store_shared(scratch, slot, x):
    cuda.shared.array(0, types.float64)[types.uint32(scratch + slot)] = x


@device
def _load_global(scratch, slot):
    return DOUBLE.load(scratch + 8 * slot)


@device
def _store_global(scratch, slot, x):
    DOUBLE.store(scratch + 8 * slot, x)


SHARED = Scratch(load=_load_shared, store=_store_shared, shared=True)
GLOBAL = Scratch(load=_load_global, store=_store_global, shared=False)
