"""The kernels of all pairs as `ptx` compiles them: distances of packed rows, and those around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cases import Case


def kernels(case: Case) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield the kernels of a case as numba has them, and the types of their arguments."""
    from numba import types

    from fastemd.cuda.pairs import kernels

    whole, number = types.int64, types.float64
    if case.kernel.name == "distances":
        yield "", kernels.distances_kernel(case.dtype, case.rho), (*(whole,) * 5, number, whole)
        return
    yield ", bins looked for", kernels.touch_kernel(case.dtype), (whole,) * 6
    yield ", embedded", kernels.embed_kernel(case.dtype, case.dtype, False, case.threads), (whole,) * 14
    yield ", placed", kernels.place_kernel(case.dtype), (*(whole,) * 6, types.boolean, *(whole,) * 3)
    yield ", condensed", kernels.condense_kernel(case.dtype), (whole,) * 9
    yield ", nearest", kernels.select, (whole,) * 8
