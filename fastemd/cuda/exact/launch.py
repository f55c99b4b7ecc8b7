"""From the arrays of a problem to launches: which kernel, compiled for which types, launched how."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import device, driver
from ...arrays.strides import device_rows, launches
from ...problems import EMDProblem
from ..primitives import intrinsics
from ..primitives.memory import IN_MEMORY, SHARED
from ..primitives.thread_group import MEETING, team
from . import chain, kernels, multiblock, ring, tile_aggregates, tree

ROOMS = {"chain": chain, "ring": ring, "tree": tree}
BLOCK = 256  # threads of the largest team, and of a block of smaller ones
POWERS = 8  # columns of a thread where rho needs a power: longer loops are not unrolled, and registers spill
SHARED_BYTES = 48 << 10  # what every device gives a block without being asked
GANGS = 2  # blocks for each multiprocessor, where rows have their scratch in device memory: more outgrow its caches
MOST_SCRATCH = 2 << 30  # bytes of scratch in device memory that a call may take, one block's at the least
# Neither is measured. Rows for each multiprocessor, below which long rows are spread over many blocks: some would stand
# idle. Tiles from which a row is long: a block takes some microseconds for each, as does each of the dozen launches.
SPREAD, LONG = 1, 32
MOST_BLOCKS = 2**31 - 1


class LaunchConfig(NamedTuple):
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
    steps: tuple[multiblock.Step, ...]
    tiles: int


def solve(problem: EMDProblem, kernel: str, flags: tuple[int, ...], values: Any, out: Any) -> None:
    """Run a kernel on all rows of a problem, on the stream of its arrays; it writes `values` and, if there is one, `out`.

    Nothing waits for the device, once a kernel has been compiled and the space's arrays have been copied there, unless
    memory is borrowed, whose owner would not wait.
    """
    a, b, batch = problem.a, problem.b, values.shape
    classes = problem.logits and b.dtype.kind in "iu"
    with driver.on(values.device):
        config = _config(problem, kernel, flags, values, classes)
        matrices = [device_rows(a, batch), device_rows(b, batch, classes)]
        matrices.append((0, (0,) * len(batch), 0) if out is None else device_rows(out, batch))
        for rows, inner, first, starts in launches(batch, matrices):
            _launch(config, problem, values, rows, inner, first, starts)
    device.synchronize(a, b)


def _launch(
    config: LaunchConfig, problem: EMDProblem, values: Any, rows: int, inner: int, first: int, starts: list[Any]
) -> None:
    a, b, out = starts
    arguments = (rows, inner, problem.space.n, config.m, a, b, values.address + first * values.dtype.itemsize, out)
    arguments += (config.space, problem.rho, problem.tolerance, config.slots)
    stream = driver.stream_of(values.stream)
    if config.steps and rows < SPREAD * driver.multiprocessors(values.device):
        _launch_multiblock(config, values, arguments, stream)
    else:
        _launch_one_group(config, values, arguments, stream)


def _launch_multiblock(config: LaunchConfig, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the steps of `spread`, with the rows' ledgers and then their slots in device memory."""
    rows, _, n, m = arguments[:4]
    tile = config.workers.tile
    widths = {
        multiblock.BINS: -(-n // tile),
        multiblock.ITEMS: config.tiles,
        multiblock.EDGES: -(-m // tile),
        multiblock.ROW: 1,
    }
    ledgers = rows * tile_aggregates.QUANTITIES * (config.tiles + 1)
    memory = device.empty(values, (ledgers + rows * config.slots,), np.dtype(np.float64))
    tail = (memory.address + 8 * ledgers, memory.address, config.tiles)
    for step in config.steps:
        width, (line, end) = widths[step.over], step.lines
        intrinsics.launch(
            step.kernel, rows * width, config.workers.size, stream, 8 * MEETING, (*arguments, *tail, width)
        )
        if line < end:
            grid = rows * (end - line)
            lines = (memory.address, config.tiles, width, line, end - line)
            intrinsics.launch(tile_aggregates.combine, grid, intrinsics.WARP, stream, 0, lines)


def _launch_one_group(config: LaunchConfig, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the kernel by which a team walks along each row."""
    rows = arguments[0]
    teams = min(config.teams, 1 << (rows - 1).bit_length())
    threads = max(intrinsics.WARP, teams * config.workers.size)
    teams = threads // config.workers.size
    blocks = min(-(-rows // teams), MOST_BLOCKS)
    workspace = 0
    if not config.shared:
        most = max(1, MOST_SCRATCH // (8 * teams * config.slots))
        blocks = min(blocks, most, GANGS * driver.multiprocessors(values.device))
        scratch = device.empty(values, (blocks * teams * config.slots,), np.dtype(np.float64))
        workspace = scratch.address
    shared_bytes = 8 * (MEETING + (teams * config.slots if config.shared else 0))
    intrinsics.launch(config.kernel, blocks, threads, stream, shared_bytes, (*arguments, workspace))


def _config(problem: EMDProblem, kernel: str, flags: tuple[int, ...], values: Any, classes: bool) -> LaunchConfig:
    """Return the launch configuration of a call, made when first asked for and kept with the space."""
    literal = problem.rho if problem.rho in (1.0, 2.0) else 0.0
    names = problem.a.dtype.name, problem.b.dtype.name, values.dtype.name
    key = ("cuda", values.device, kernel, literal, names, classes, problem.normalized, flags)
    found: LaunchConfig | None = problem.space.kept.get(key)
    if found is None:
        case = kernels.Case(kernel, literal, *names, classes, problem.normalized, flags)
        found = problem.space.kept[key] = _make_config(problem.space, case, values.device)
    return found


def columns_of(room: Any, law: float) -> int:
    """Return how many columns a thread of a room has."""
    return room.COLUMNS if law else min(room.COLUMNS, POWERS)


def _make_config(space: Any, case: kernels.Case, ordinal: int) -> LaunchConfig:
    room = ROOMS[space.kind]
    columns = columns_of(room, case.law)
    place = ("cuda", ordinal, columns)
    if place not in space.kept:
        items, slots = room.items(space.arrays, space.n)
        workers = team(min(BLOCK, 1 << max(0, -(-items // columns) - 1).bit_length()), columns)
        arrays, numbers = room.prepare(space.arrays, space.n, workers)
        owners = tuple(driver.upload(array, ordinal) for array in arrays)
        addresses = tuple(driver.address_of(owner) for owner in owners)
        space.kept[place] = owners, room.Layout(*addresses, *numbers), workers, -(-items // workers.tile), slots
    owners, layout, workers, tiles, slots = space.kept[place]
    teams = BLOCK // workers.size if workers.size <= intrinsics.WARP else 1
    shared = slots == 0 or 8 * (MEETING + teams * slots) <= SHARED_BYTES
    kernel = kernels.build(case, room, workers, SHARED if shared else IN_MEMORY)
    m = space.m if case.kernel in ("flow", "length_gradient") else space.n
    steps = multiblock.build(case, room, workers) if tiles >= LONG and room is not ring else ()
    return LaunchConfig(kernel, workers, teams, slots, shared, layout, m, owners, steps, tiles)
