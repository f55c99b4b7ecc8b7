"""The door of the CPU wing: which kernel, compiled for which types, called in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import typeof, types

from . import chain, kernels, ring, tree
from . import plan as plan_room
from .compiled import array, entry
from .lanes import WIDTH

ROOMS = {"chain": chain, "ring": ring, "tree": tree}
BUFFER = array(np.float64, 1, "C")
FLAGS = {"gradient": (types.intp, types.intp)}


class Plan(NamedTuple):
    """A compiled kernel, the arrays of a space, and the scratch `buffer` of so many float64 numbers that it needs."""

    kernel: Callable[..., None]
    factors: Callable[..., None] | None
    space: Any
    buffer: int

    def call(
        self,
        job: Any,
        x: np.ndarray,
        y: np.ndarray,
        values: np.ndarray,
        out: np.ndarray | None,
        buffer: np.ndarray,
    ) -> None:
        """Run the kernel on rows that lie as it wants them."""
        weigh: list[np.ndarray | None] = [None, None]
        for side, normalized in enumerate(job.normalized):
            if normalized and self.factors is not None:
                weigh[side] = np.empty(len(x))
                self.factors((x, y)[side], weigh[side], 0, len(x))
        written = (values,) if out is None else (values, out)
        self.kernel(x, y, *weigh, self.space, job.rho, job.tolerance, *job.flags, *written, buffer, 0, len(x))


def plan(job: Any, dtype: np.dtype, classes: bool) -> Plan:
    """Return the kernel of a job for rows of float32 or float64, and a target of classes or rows.

    It is looked up with the space, since making numba's types anew would take longer than a small job.
    """
    law = int(job.rho) if job.rho in (1.0, 2.0) else 0
    key = ("cpu", job.kernel, dtype.char, law, job.normalized, classes)
    found: Plan | None = job.space.kept.get(key)
    if found is None:
        found = job.space.kept[key] = _plan(job, dtype, law, classes)
    return found


def _plan(job: Any, dtype: np.dtype, law: int, classes: bool) -> Plan:
    if "cpu" not in job.space.kept:
        job.space.kept["cpu"] = ROOMS[job.space.kind].prepare(job.space.arrays, job.space.n)
    space = job.space.kept["cpu"]
    rows, vector, factor = array(dtype, 2), array(dtype, 1), array(np.float64, 1)
    signature = (
        rows,
        array(np.int64, 1) if classes else rows,
        *(factor if normalized else types.none for normalized in job.normalized),
        typeof(space),
        types.literal(law) if law else types.float64,
        types.float64,
        *FLAGS.get(job.kernel, ()),
        *((vector,) if job.kernel == "value" else (vector, rows)),
        BUFFER,
        types.intp,
        types.intp,
    )
    return Plan(
        entry(getattr(kernels, job.kernel), signature),
        entry(kernels.factors, (rows, factor, types.intp, types.intp)) if any(job.normalized) else None,
        space,
        (2 if job.kernel == "logits" else 1) * space.slots * WIDTH,
    )


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
