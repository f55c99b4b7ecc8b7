"""The door of the CUDA wing: which kernel, compiled for which types, launched how."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from .. import device
from . import chain, driver, kernels, ring, target, tree
from .scratch import IN_MEMORY, SHARED
from .teams import MEETING, team

ROOMS = {"chain": chain, "ring": ring, "tree": tree}
BLOCK = 256  # threads of the largest team, and of a block of smaller ones
SHARED_BYTES = 48 << 10  # what every device gives a block without being asked
GANGS = 4  # blocks for each multiprocessor, where rows have their scratch in device memory
MOST_BLOCKS = 2**31 - 1


class Plan(NamedTuple):
    """A kernel and how it is launched: teams of so many threads, so many of them to a block at the most.

    `owners` keep the space's arrays on the device.
    """

    kernel: Any
    size: int
    teams: int
    slots: int
    shared: bool
    space: tuple[Any, ...]
    m: int
    owners: tuple[Any, ...]


def run(job: Any, x: Any, y: Any, values: Any, out: Any) -> None:
    """Run a kernel on `DeviceArray`s that broadcast to the rows of `values`, on the stream they came with.

    Nothing waits for the device, once a kernel has been compiled and the space's arrays have been copied there.
    """
    if values.size == 0:
        return
    classes = job.kernel == "logits" and y.dtype.kind in "iu"
    with driver.on(values.device):
        plan = _planned(job, x, y, values, classes)
        batch = values.shape
        matrices = [_matrix(x, batch, False), _matrix(y, batch, classes)]
        matrices.append((0, (0,) * len(batch), 0) if out is None else _matrix(out, batch, False))
        for rows, inner, first, starts in _strips(batch, matrices):
            _launch(plan, job, values, rows, inner, first, starts)


def _matrix(x: Any, batch: tuple[int, ...], classes: bool) -> tuple[int, tuple[int, ...], int]:
    """Return the address, the strides of the leading axes broadcast to `batch`, and the step from column to column."""
    shape, strides, step = (x.shape, x.strides, 0) if classes else (x.shape[:-1], x.strides[:-1], x.strides[-1])
    own = tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
    return x.address, (0,) * (len(batch) - len(own)) + own, step


def _strips(batch: tuple[int, ...], matrices: list[Any]) -> Any:
    """Yield launches: how many rows, how many lie evenly, the number of the first, and where each matrix begins.

    Axes that lie evenly in every matrix are merged; the last two of what is left go into one launch.
    """
    sizes: list[int] = []
    steps: list[list[int]] = []
    for axis, size in enumerate(batch):
        if size == 1:
            continue
        here = [matrix[1][axis] for matrix in matrices]
        if sizes and all(outer == size * inner for outer, inner in zip(steps[-1], here, strict=True)):
            sizes[-1] *= size
            steps[-1] = here
        else:
            sizes.append(size)
            steps.append(here)
    while len(sizes) < 2:
        sizes.insert(0, 1)
        steps.insert(0, [0] * len(matrices))
    rows = sizes[-2] * sizes[-1]
    for number, index in enumerate(itertools.product(*map(range, sizes[:-2]))):
        starts = []
        for k, (address, _, step) in enumerate(matrices):
            start = address + sum(i * at[k] for i, at in zip(index, steps, strict=False))
            starts.append((start, steps[-2][k], steps[-1][k], step))
        yield rows, sizes[-1], number * rows, starts


def _launch(plan: Plan, job: Any, values: Any, rows: int, inner: int, first: int, starts: list[Any]) -> None:
    teams = min(plan.teams, 1 << (rows - 1).bit_length())
    threads = max(target.WARP, teams * plan.size)
    teams = threads // plan.size
    blocks = min(-(-rows // teams), MOST_BLOCKS)
    workspace = 0
    if not plan.shared:
        blocks = min(blocks, GANGS * driver.multiprocessors(values.device))
        scratch = device.empty(values, (blocks * teams * plan.slots,), np.dtype(np.float64))
        workspace = scratch.address
    shared_bytes = 8 * (MEETING + (teams * plan.slots if plan.shared else 0))
    x, y, out = starts
    arguments = (rows, inner, job.space.n, plan.m, x, y, values.address + first * values.dtype.itemsize, out)
    arguments += (plan.space, job.rho, job.tolerance, plan.slots, workspace)
    plan.kernel[blocks, threads, driver.stream_of(values.stream), shared_bytes](*arguments)


def _planned(job: Any, x: Any, y: Any, values: Any, classes: bool) -> Plan:
    """Return the plan of a call, made when first asked for and kept with the space."""
    law = job.rho if job.rho in (1.0, 2.0) else 0.0
    names = x.dtype.name, y.dtype.name, values.dtype.name
    key = ("cuda", values.device, job.kernel, law, names, classes, job.normalized, job.flags)
    found: Plan | None = job.space.kept.get(key)
    if found is None:
        case = kernels.Case(job.kernel, law, *names, classes, job.normalized, job.flags)
        found = job.space.kept[key] = _plan(job, case, values.device)
    return found


def _plan(job: Any, case: kernels.Case, ordinal: int) -> Plan:
    room = ROOMS[job.space.kind]
    place = ("cuda", ordinal)
    if place not in job.space.kept:
        arrays, numbers, items, slots = room.prepare(job.space.arrays, job.space.n)
        owners = tuple(driver.upload(array, ordinal) for array in arrays)
        addresses = tuple(driver.address_of(owner) for owner in owners)
        job.space.kept[place] = owners, room.Layout(*addresses, *numbers), items, slots
    owners, space, items, slots = job.space.kept[place]
    size = min(BLOCK, 1 << max(0, -(-items // target.FOUR) - 1).bit_length())
    teams = BLOCK // size if size <= target.WARP else 1
    shared = 8 * (MEETING + teams * slots) <= SHARED_BYTES
    kernel = kernels.build(case, room, team(size), SHARED if shared else IN_MEMORY)
    m = job.space.m if job.kernel in ("flow", "length_gradient") else job.space.n
    return Plan(kernel, size, teams, slots, shared, space, m, owners)
