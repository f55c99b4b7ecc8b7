"""The door of the CUDA wing: which kernel, compiled for which types, launched how."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import device
from . import chain, driver, kernels, ledger, ring, spread, target, tree
from .scratch import IN_MEMORY, SHARED
from .strips import matrix, strips
from .teams import MEETING, team

ROOMS = {"chain": chain, "ring": ring, "tree": tree}
BLOCK = 256  # threads of the largest team, and of a block of smaller ones
POWERS = (
    8  # columns of a thread at the most where rho needs a power: longer loops are not unrolled, and registers spill
)
SHARED_BYTES = 48 << 10  # what every device gives a block without being asked
GANGS = 2  # blocks for each multiprocessor, where rows have their scratch in device memory: more outgrow its caches
MOST_SCRATCH = 2 << 30  # bytes of scratch in device memory that a call may take, one block's at the least
# Neither is measured. Rows for each multiprocessor, below which long rows are spread over many blocks: some would stand
# idle. Tiles from which a row is long: a block takes some microseconds for each, as does each of the dozen launches.
SPREAD, LONG = 1, 32
MOST_BLOCKS = 2**31 - 1


class Plan(NamedTuple):
    """A kernel and how it is launched: by which `workers`, so many `teams` of them to a block at the most.

    `owners` keep the space's arrays on the device. `steps` are those of `spread`, of a row of so many `tiles`, where
    it is long.
    """

    kernel: Any
    workers: Any
    teams: int
    slots: int
    shared: bool
    space: tuple[Any, ...]
    m: int
    owners: tuple[Any, ...]
    steps: tuple[spread.Step, ...]
    tiles: int


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
        matrices = [matrix(x, batch, False), matrix(y, batch, classes)]
        matrices.append((0, (0,) * len(batch), 0) if out is None else matrix(out, batch, False))
        for rows, inner, first, starts in strips(batch, matrices):
            _launch(plan, job, values, rows, inner, first, starts)


def _launch(plan: Plan, job: Any, values: Any, rows: int, inner: int, first: int, starts: list[Any]) -> None:
    x, y, out = starts
    arguments = (rows, inner, job.space.n, plan.m, x, y, values.address + first * values.dtype.itemsize, out)
    arguments += (plan.space, job.rho, job.tolerance, plan.slots)
    stream = driver.stream_of(values.stream)
    if plan.steps and rows < SPREAD * driver.multiprocessors(values.device):
        _spread(plan, values, arguments, stream)
    else:
        _walk(plan, values, arguments, stream)


def _spread(plan: Plan, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the steps of `spread`, with the rows' ledgers and then their slots in device memory."""
    rows, _, n, m = arguments[:4]
    tile = plan.workers.tile
    widths = {spread.BINS: -(-n // tile), spread.ITEMS: plan.tiles, spread.EDGES: -(-m // tile), spread.ROW: 1}
    ledgers = rows * ledger.QUANTITIES * (plan.tiles + 1)
    memory = device.empty(values, (ledgers + rows * plan.slots,), np.dtype(np.float64))
    tail = (memory.address + 8 * ledgers, memory.address, plan.tiles)
    for step in plan.steps:
        width, (line, end) = widths[step.over], step.lines
        target.launch(step.kernel, rows * width, plan.workers.size, stream, 8 * MEETING, (*arguments, *tail, width))
        if line < end:
            grid = rows * (end - line)
            lines = (memory.address, plan.tiles, width, line, end - line)
            target.launch(ledger.combine, grid, target.WARP, stream, 0, lines)


def _walk(plan: Plan, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the kernel by which a team walks along each row."""
    rows = arguments[0]
    teams = min(plan.teams, 1 << (rows - 1).bit_length())
    threads = max(target.WARP, teams * plan.workers.size)
    teams = threads // plan.workers.size
    blocks = min(-(-rows // teams), MOST_BLOCKS)
    workspace = 0
    if not plan.shared:
        most = max(1, MOST_SCRATCH // (8 * teams * plan.slots))
        blocks = min(blocks, most, GANGS * driver.multiprocessors(values.device))
        scratch = device.empty(values, (blocks * teams * plan.slots,), np.dtype(np.float64))
        workspace = scratch.address
    shared_bytes = 8 * (MEETING + (teams * plan.slots if plan.shared else 0))
    target.launch(plan.kernel, blocks, threads, stream, shared_bytes, (*arguments, workspace))


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


def columns_of(room: Any, law: float) -> int:
    """Return how many columns a thread of a room has."""
    return room.COLUMNS if law else min(room.COLUMNS, POWERS)


def _plan(job: Any, case: kernels.Case, ordinal: int) -> Plan:
    room = ROOMS[job.space.kind]
    columns = columns_of(room, case.law)
    place = ("cuda", ordinal, columns)
    if place not in job.space.kept:
        items, slots = room.items(job.space.arrays, job.space.n)
        workers = team(min(BLOCK, 1 << max(0, -(-items // columns) - 1).bit_length()), columns)
        arrays, numbers = room.prepare(job.space.arrays, job.space.n, workers)
        owners = tuple(driver.upload(array, ordinal) for array in arrays)
        addresses = tuple(driver.address_of(owner) for owner in owners)
        job.space.kept[place] = owners, room.Layout(*addresses, *numbers), workers, -(-items // workers.tile), slots
    owners, space, workers, tiles, slots = job.space.kept[place]
    teams = BLOCK // workers.size if workers.size <= target.WARP else 1
    shared = slots == 0 or 8 * (MEETING + teams * slots) <= SHARED_BYTES
    kernel = kernels.build(case, room, workers, SHARED if shared else IN_MEMORY)
    m = job.space.m if job.kernel in ("flow", "length_gradient") else job.space.n
    steps = spread.build(case, room, workers) if tiles >= LONG and room is not ring else ()
    return Plan(kernel, workers, teams, slots, shared, space, m, owners, steps, tiles)
