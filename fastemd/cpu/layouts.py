"""Layouts: the named tuples of arrays that kernels read of a space, and the functions that depend on them.

Each kind of space has a layout class. A generic function such as `sweeps.value` has one implementation for each class,
and numba chooses among them when it compiles a kernel.
"""

import inspect

import numpy as np
from numba import types
from numba.extending import overload

from .simd.lanes import INLINE, WIDTH


def implement(layout, generic, implementation, parameter="space"):
    """Compile `implementation` where `generic` is called with an argument `parameter` of the class `layout`."""
    signature = inspect.signature(generic)
    position = list(signature.parameters).index(parameter)

    def choose(*arguments):
        kind = arguments[position]
        if isinstance(kind, types.BaseNamedTuple) and kind.instance_class is layout:
            return implementation
        return None

    choose.__signature__ = signature  # numba compares the parameters of `choose` with those of the implementation
    overload(generic, jit_options=INLINE)(choose)


def padded(vector, size=None):
    """Return a vector with zeros appended up to `size`, or up to whole blocks of eight."""
    whole = np.zeros(-(-len(vector) // WIDTH) * WIDTH if size is None else size, vector.dtype)
    whole[: len(vector)] = vector
    return whole
