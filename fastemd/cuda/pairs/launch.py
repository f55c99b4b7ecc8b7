"""From rows on a device to the kernels of all pairs. Every launch is queued on the stream of the rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...arrays import device, driver
from ...arrays.device import DeviceArray
from ..primitives import intrinsics
from ..primitives.thread_group import REDUCTION_SLOTS
from . import kernels

BLOCK = 256  # threads of a block, where a thread has one number at a time
MAX_BLOCKS = 1 << 20
ROW_PARTS = 64  # parts of the rows in which bins are looked for at the same time
EMBEDDED = 4096  # rows that are embedded at a time: the sums of their masses are in global memory


class Packed(NamedTuple):
    """Rows as kernels read them, column by column; `rows` and `columns` of them count, the rest is 0."""

    numbers: DeviceArray
    rows: int
    columns: int

    @property
    def width(self) -> int:
        """Numbers of a column."""
        return _whole(self.rows, kernels.tile_size())


def _whole(count: int, size: int) -> int:
    return -(-count // size) * size


def touched(rows: DeviceArray) -> np.ndarray:
    """Return in which bins some row (r, n) has mass."""
    count, n = rows.shape
    flags = device.to_device(rows, np.zeros(n))
    if count:
        with driver.on(rows.device):
            grid, stream = (-(-n // BLOCK), min(count, ROW_PARTS)), driver.stream_of(rows.stream)
            arguments = (count, n, rows.address, *rows.strides, flags.address)
            intrinsics.launch(kernels.touch_kernel(rows.dtype.name), grid, BLOCK, stream, 0, arguments)
    return device.to_host(flags) != 0


class ColumnsOnDevice:
    """Columns of an embedding, on a device; see `fastemd.pairs.columns`."""

    def __init__(self, like: DeviceArray, columns: Any, common: np.ndarray, weight: np.ndarray) -> None:
        self.bins, self.size = len(columns.order), len(weight)
        parts = (columns.order, columns.first, columns.beyond, common, weight)
        self.arrays = [device.to_device(like, x) for x in parts]

    def embed(self, rows: DeviceArray, normalized: bool, out: DeviceArray) -> None:
        """Write the embedding of rows (r, n) to `out` (r, columns), of any strides."""
        count = rows.shape[0]
        if not count or not self.size:
            return
        most = min(count, EMBEDDED)
        sums = device.empty(rows, (most, self.bins + 1), np.dtype(np.float64))
        size = min(BLOCK, max(intrinsics.WARP, 1 << max(self.bins - 1, 0).bit_length()))
        kernel = kernels.embed_kernel(rows.dtype.name, out.dtype.name, normalized, size)
        order, first, beyond, common, weight = (x.address for x in self.arrays)
        with driver.on(rows.device):
            stream = driver.stream_of(rows.stream)
            for begin in range(0, count, most):
                address, to = rows.address + begin * rows.strides[0], out.address + begin * out.strides[0]
                arguments = (address, *rows.strides, self.bins, order, self.size, first, beyond, common, weight)
                arguments += (sums.address, to, *out.strides)
                blocks = min(most, count - begin)
                intrinsics.launch(kernel, blocks, size, stream, 8 * REDUCTION_SLOTS, arguments)

    def pack(self, rows: DeviceArray, normalized: bool, dtype: np.dtype) -> Packed:
        """Return the packed embedding of rows (r, n)."""
        count = rows.shape[0]
        packed = Packed(rows, count, _whole(self.size, kernels.depth()))
        numbers = device.empty(rows, (packed.columns, packed.width), dtype)
        with driver.on(rows.device):
            words = numbers.size * dtype.itemsize // 4
            arguments = (words, numbers.address)
            _launch_flat(kernels.clear, words, driver.stream_of(rows.stream), arguments)
        step = numbers.strides[0]
        self.embed(rows, normalized, numbers._replace(shape=(count, self.size), strides=(dtype.itemsize, step)))
        return packed._replace(numbers=numbers)


def distances(a: Packed, b: Packed, rho: float) -> DeviceArray:
    """Return the float64 distances (rows of a, rows of b) of packed rows."""
    numbers = a.numbers
    out = device.empty(numbers, (a.width, b.width), np.dtype(np.float64))
    if a.rows and b.rows:
        kernel = kernels.distances_kernel(numbers.dtype.name, rho if rho in (1.0, 2.0) else 0.0)
        tile = kernels.tile_size(rho)
        arguments = (numbers.address, b.numbers.address, a.columns, a.width, b.width, rho, out.address)
        with driver.on(numbers.device):
            grid, stream = (b.width // tile, a.width // tile), driver.stream_of(numbers.stream)
            intrinsics.launch(kernel, grid, kernels.ACROSS * kernels.DOWN, stream, 0, arguments)
    return out._replace(shape=(a.rows, b.rows))


def place(tile: DeviceArray, out: DeviceArray, first: int, other: int, mirror: bool) -> None:
    """Write a tile of distances to an answer (rows, columns), from pair (first, other) on."""
    rows, columns = tile.shape
    with driver.on(out.device):
        kernel, stream = kernels.place_kernel(out.dtype.name), driver.stream_of(out.stream)
        arguments = (rows, columns, tile.address, tile.strides[0] // 8, first, other, mirror, out.address, *out.strides)
        _launch_flat(kernel, rows * columns, stream, arguments)


def condense(tile: DeviceArray, out: DeviceArray, first: int, other: int, count: int) -> None:
    """Write what a tile of distances of `count` rows has above the diagonal to a vector."""
    rows, columns = tile.shape
    with driver.on(out.device):
        kernel, stream = kernels.condense_kernel(out.dtype.name), driver.stream_of(out.stream)
        arguments = (
            rows,
            columns,
            tile.address,
            tile.strides[0] // 8,
            first,
            other,
            count,
            out.address,
            out.strides[0],
        )
        _launch_flat(kernel, rows * columns, stream, arguments)


def select(tile: DeviceArray, offset: int, found: DeviceArray, index: DeviceArray) -> None:
    """Update the nearest (rows, k) by the distances (others, rows) of a tile whose first row is `offset`."""
    others, rows = tile.shape
    with driver.on(found.device):
        arguments = (rows, others, tile.address, tile.strides[0] // 8, found.shape[1], offset, found.address)
        _launch_flat(kernels.select, rows, driver.stream_of(found.stream), (*arguments, index.address))


def _launch_flat(kernel: Any, count: int, stream: Any, arguments: tuple[Any, ...]) -> None:
    """Launch a kernel whose threads take one of `count` items after the other."""
    if count:
        blocks = min(-(-count // BLOCK), MAX_BLOCKS)
        intrinsics.launch(kernel, blocks, BLOCK, stream, 0, arguments)
