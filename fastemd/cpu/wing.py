"""The door of the CPU wing: which kernel, compiled for which types, called in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import types, typeof

from . import chain, kernels, ring, tree
from . import plan as plan_room
from .compiled import array, entry
from .lanes import WIDTH

ROOMS = {"chain": chain, "ring": ring, "tree": tree}
BUFFER = array(np.float64, 1, "C")
NUMBER = {bool: types.boolean, int: types.intp, float: types.float64}


class Plan(NamedTuple):
    """A kernel ready to be called on rows, with a scratch `buffer` of so many float64 numbers."""

    call: Callable[..., None]
    buffer: int


def prepared(space: Any) -> tuple[Any, int]:
    """Return the space's arrays as its room wants them, and how many slots of a buffer they need; made once."""
    if "cpu" not in space.kept:
        space.kept["cpu"] = ROOMS[space.kind].prepare(space.arrays, space.n)
    return space.kept["cpu"]


def plan(job: Any, dtype: np.dtype, classes: bool) -> Plan:
    """Find or compile the kernel of a job for rows of float32 or float64, and a target of classes or rows."""
    space, slots = prepared(job.space)
    rho = int(job.rho) if job.rho in (1.0, 2.0) else job.rho
    flags = (slots,) if job.kernel == "logits" else job.flags
    weights = [array(np.float64, 1, "C") if normalized else types.none for normalized in job.normalized]
    rows, vector = array(dtype, 2), array(dtype, 1)
    outputs = (vector,) if job.kernel == "value" else (vector, rows)
    kernel = entry(
        getattr(kernels, job.kernel),
        (
            rows,
            array(np.int64, 1) if classes else rows,
            *weights,
            typeof(space),
            types.literal(rho) if isinstance(rho, int) else types.float64,
            types.float64,
            *(NUMBER[type(flag)] for flag in flags),
            *outputs,
            BUFFER,
            types.intp,
            types.intp,
        ),
    )
    factors = entry(kernels.factors, (rows, BUFFER, types.intp, types.intp)) if any(job.normalized) else None

    def call(x: np.ndarray, y: np.ndarray, values: np.ndarray, out: np.ndarray | None, buffer: np.ndarray) -> None:
        weigh = [None, None]
        for side, normalized in enumerate(job.normalized):
            if normalized:
                weigh[side] = np.empty(len(x))
                factors((x, y)[side], weigh[side], 0, len(x))
        written = (values,) if out is None else (values, out)
        kernel(x, y, *weigh, space, rho, job.tolerance, *flags, *written, buffer, 0, len(x))

    return Plan(call, (2 if job.kernel == "logits" else 1) * slots * WIDTH)


def match(
    difference: np.ndarray,
    up: np.ndarray,
    place: np.ndarray,
    source: np.ndarray,
    sink: np.ndarray,
    amount: np.ndarray,
) -> int:
    """Match surplus and lack along a tree, as `fastemd.cpu.plan.match`; return how many entries were written."""
    index, number = array(np.intp, 1), array(np.float64, 1)
    kernel = entry(plan_room.match, (number, index, index, index, index, number))
    return int(kernel(difference, up, place, source, sink, amount))
