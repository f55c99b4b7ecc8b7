"""The launches of a problem: which kernels, compiled for which types, on which grids."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ...arrays import device, driver
from ...arrays.strides import device_rows, launches
from ...problems import EMDProblem
from ..primitives import intrinsics
from ..primitives.memory import GLOBAL, SHARED
from ..primitives.thread_group import REDUCTION_SLOTS, thread_group
from . import chain, kernels, long_tree, multiblock, ring, tile_aggregates, tree

SPACES = {"chain": chain, "ring": ring, "tree": tree}
TILED = {"chain": chain, "tree": long_tree}  # whose rows may have many tiles, worked by several blocks
BLOCK = 256  # threads of the largest thread group, and of a block of smaller ones
POWER_COLUMNS = 8  # columns of a thread where rho needs a power: longer loops are not unrolled, and registers spill
SHARED_BYTES = 48 << 10  # of shared memory that every device gives a block by default
BLOCKS_PER_MULTIPROCESSOR = 2  # where scratch is in global memory: that of more blocks outgrows the caches
MAX_SCRATCH_BYTES = 2 << 30  # of scratch in global memory for a call, or that of one block
# Neither is measured. Long rows have several blocks each where there are fewer of them than so many for each
# multiprocessor: some would be idle. A row is long from so many tiles on: a block takes some microseconds for each, as
# does each of the dozen launches.
MULTIBLOCK_ROWS, MULTIBLOCK_TILES = 1, 32
MAX_BLOCKS = 2**31 - 1


class SpaceOnDevice(NamedTuple):
    """A space on a device, for threads of some number of columns.

    arrays : the arrays whose addresses are in the layout
    layout : the `Layout` of the space, for kernels
    group : the `ThreadGroup` of a row
    tiles : tiles of a row
    slots : of scratch, for a row
    """

    arrays: tuple[Any, ...]
    layout: tuple[Any, ...]
    group: Any
    tiles: int
    slots: int


class LaunchConfig(NamedTuple):
    """The kernels of a case, and how they are launched.

    kernel : with one thread group to a row
    space : a `SpaceOnDevice`
    m : columns of `out`
    groups : most thread groups of a block
    shared : whether scratch is in shared memory
    steps : multi-block kernels, where rows are long
    """

    kernel: Any
    space: SpaceOnDevice
    m: int
    groups: int
    shared: bool
    steps: tuple[multiblock.Step, ...]


def solve(problem: EMDProblem, kernel: str, flags: tuple[int, ...], values: Any, out: Any) -> None:
    """Run a kernel on all rows of a problem, on the stream of its arrays; it stores `values` and, if any, `out`.

    After a first call, which compiles the kernel and copies the space to the device, the host does not wait for the
    device, except where memory is borrowed from an owner that would not wait for the stream.
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
    arguments += (config.space.layout, problem.rho, problem.tolerance, config.space.slots)
    stream = driver.stream_of(values.stream)
    if config.steps and rows < MULTIBLOCK_ROWS * driver.multiprocessors(values.device):
        _launch_multiblock(config, values, arguments, stream)
    else:
        _launch_one_group(config, values, arguments, stream)


def _launch_multiblock(config: LaunchConfig, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the multi-block kernels, with tile aggregates and then scratch in global memory."""
    rows, _, n, m = arguments[:4]
    _, _, group, tiles, slots = config.space
    tiles_over = {
        multiblock.BINS: -(-n // group.tile),
        multiblock.COLUMNS: tiles,
        multiblock.EDGES: -(-m // group.tile),
        multiblock.ROW: 1,
    }
    size = rows * tile_aggregates.FIELDS * (tiles + 1)
    memory = device.empty(values, (size + rows * slots,), np.dtype(np.float64))  # until all steps are queued
    aggregates = memory.address
    for step in config.steps:
        used_tiles, (field, end) = tiles_over[step.over], step.fields
        tail = (aggregates + 8 * size, aggregates, tiles, used_tiles)
        blocks, shared_bytes = rows * used_tiles, 8 * REDUCTION_SLOTS
        intrinsics.launch(step.kernel, blocks, group.size, stream, shared_bytes, (*arguments, *tail))
        if field < end:
            fields = (aggregates, tiles, used_tiles, field, end - field)
            intrinsics.launch(tile_aggregates.scan, rows * (end - field), intrinsics.WARP, stream, 0, fields)


def _launch_one_group(config: LaunchConfig, values: Any, arguments: tuple[Any, ...], stream: Any) -> None:
    """Launch the kernel with one thread group to a row."""
    rows, size, slots = arguments[0], config.space.group.size, config.space.slots
    groups = min(config.groups, 1 << (rows - 1).bit_length())
    threads = max(intrinsics.WARP, groups * size)
    groups = threads // size
    blocks = min(-(-rows // groups), MAX_BLOCKS)
    workspace = 0
    if not config.shared:
        most = max(1, MAX_SCRATCH_BYTES // (8 * groups * slots))
        blocks = min(blocks, most, BLOCKS_PER_MULTIPROCESSOR * driver.multiprocessors(values.device))
        scratch = device.empty(values, (blocks * groups * slots,), np.dtype(np.float64))
        workspace = scratch.address
    shared_bytes = 8 * (REDUCTION_SLOTS + (groups * slots if config.shared else 0))
    intrinsics.launch(config.kernel, blocks, threads, stream, shared_bytes, (*arguments, workspace))


def _config(problem: EMDProblem, kernel: str, flags: tuple[int, ...], values: Any, classes: bool) -> LaunchConfig:
    """Return the launch configuration of a call, which is kept with the space."""
    literal = problem.rho if problem.rho in (1.0, 2.0) else 0.0
    names = problem.a.dtype.name, problem.b.dtype.name, values.dtype.name
    key = ("cuda", values.device, kernel, literal, names, classes, problem.normalized, flags)
    config: LaunchConfig | None = problem.space.kept.get(key)
    if config is None:
        case = kernels.Case(kernel, literal, *names, classes, problem.normalized, flags)
        config = problem.space.kept[key] = _make_config(problem.space, case, values.device)
    return config


def columns_of(module: Any, literal: float) -> int:
    """Return how many columns a thread has in the kernels of a kind of space."""
    return module.COLUMNS if literal else min(module.COLUMNS, POWER_COLUMNS)


def _make_config(space: Any, case: kernels.Case, ordinal: int) -> LaunchConfig:
    module = _module_of(space)
    on_device = _space_on_device(space, ordinal, module, columns_of(module, case.literal))
    _, _, group, tiles, slots = on_device
    groups = _most_groups(group, slots)
    shared = slots == 0 or 8 * (REDUCTION_SLOTS + groups * slots) <= SHARED_BYTES
    kernel = kernels.build(case, module, group, SHARED if shared else GLOBAL)
    m = space.m if case.kernel in ("flow", "length_gradient") else space.n
    tiled = tiles >= MULTIBLOCK_TILES and module is TILED.get(space.kind)
    steps = multiblock.build(case, module, group) if tiled else ()
    return LaunchConfig(kernel, on_device, m, groups, shared, steps)


def _module_of(space: Any) -> Any:
    """Return the module of a space's kernels: that of long trees, where a tree does not fit in shared memory."""
    if space.kind != "tree":
        return SPACES[space.kind]
    group = _group_of(tree, space, tree.COLUMNS)
    slots = tree.slots(space.arrays, space.n, group) if space.n <= group.tile else math.inf
    fits = 8 * (REDUCTION_SLOTS + _most_groups(group, slots) * slots) <= SHARED_BYTES
    return tree if fits else long_tree


def _group_of(module: Any, space: Any, columns: int) -> Any:
    """Return the thread group of a row, for threads of some number of columns."""
    threads = -(-module.columns(space.arrays, space.n) // columns)
    return thread_group(min(BLOCK, 1 << max(0, threads - 1).bit_length()), columns)


def _most_groups(group: Any, slots: float) -> int:
    """Return how many thread groups a block has at most: those whose scratch is shared memory, a warp at least."""
    groups: int = BLOCK // group.size if group.size <= intrinsics.WARP else 1
    while groups * group.size > intrinsics.WARP and 8 * (REDUCTION_SLOTS + groups * slots) > SHARED_BYTES:
        groups //= 2
    return max(1, groups)


def _space_on_device(space: Any, ordinal: int, module: Any, columns: int) -> SpaceOnDevice:
    """Return a space on a device, copied there at first and kept with the space."""
    key = ("cuda", ordinal, columns)
    if key not in space.kept:
        group = _group_of(module, space, columns)
        arrays, numbers = module.prepare(space.arrays, space.n, group)
        arrays = tuple(driver.upload(array, ordinal) for array in arrays)
        layout = module.Layout(*map(driver.address_of, arrays), *numbers)
        tiles, slots = (
            -(-module.columns(space.arrays, space.n) // group.tile),
            module.slots(space.arrays, space.n, group),
        )
        space.kept[key] = SpaceOnDevice(arrays, layout, group, tiles, slots)
    on_device: SpaceOnDevice = space.kept[key]
    return on_device
