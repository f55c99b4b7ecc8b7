"""All pairs of rows on a CUDA device: their tables, their tiles, and answers that stay there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import bad_rows, device, inputs, readers
from ..arrays.device import DeviceArray
from ..exact.call import NO_OUTPUT, histogram_problem, solve
from ..formulas.mass import ANY_SURPLUS
from ..spaces.base import Space
from ..spaces.tree import Tree
from . import matrix, store
from .columns import Columns, subtree_ranges
from .tables import Table, check_masses, check_rows_axis
from .tiles import DenseTiles, Embedding, tile_rows, walk


class DeviceTable:
    """Rows of histograms on a device; `normalized` says whether they are divided by their mass."""

    sparse = False

    def __init__(self, rows: DeviceArray, name: str, normalized: bool) -> None:
        self.rows, self.name, self.normalized = rows, name, normalized
        self.dtype = inputs.answer_dtype(rows.dtype)

    def __len__(self) -> int:
        return self.rows.shape[0]

    def part(self, first: int, last: int) -> DeviceArray:
        """Return rows first..last - 1."""
        rows = self.rows
        return rows._replace(address=rows.address + first * rows.strides[0], shape=(last - first, rows.shape[1]))

    def on_host(self, first: int, last: int) -> Table:
        """Return a copy of rows first..last - 1 in host memory."""
        return Table(bad_rows.readable(device.to_host(self.part(first, last))), self.name, self.dtype)

    def sample(self, count: int) -> np.ndarray:
        """Return the first rows as they are compared, at most so many, in host memory."""
        table = self.on_host(0, min(count, len(self)))
        return table.rows / table.mass[:, None] if self.normalized else table.rows

    def touched(self) -> np.ndarray:
        """Return in which bins some row has mass."""
        from ..cuda.pairs import launch

        return launch.touched(self.rows)


def tables_of(A: DeviceArray, B: DeviceArray | None, space: Space, mass: str) -> list[DeviceTable]:
    """Return the tables of rows on a device (one, if B is None); all rows are checked."""
    tables = []
    for rows, name in ((A, "A"), (B, "B")):
        if rows is not None:
            check_rows_axis(rows, name, space)
            tables.append(DeviceTable(rows, name, mass == "normalize"))
    if B is not None:
        inputs.common(tables[0].rows, tables[1].rows._replace(shape=(1, space.n)), ("A", "B"))
    _check(tables, space, mass)
    return tables


def _check(tables: list[DeviceTable], space: Space, mass: str) -> None:
    """Raise for the first bad row: one whose distance from the first row of all is not a number."""
    full = [table for table in tables if len(table)]
    for table in full:
        problem = histogram_problem(table.rows, full[0].part(0, 1), space, 1.0, mass)
        values = device.empty(table.rows, problem.batch, np.dtype(np.float64))
        solve(problem, "value", NO_OUTPUT, False, values=values)
        found = device.to_host(values)
        if np.isnan(found).any():
            copies = [each.on_host(0, len(each)) for each in full]
            for copy in copies:
                bad_rows.check_rows(copy.rows, copy.name, "")
            check_masses(copies, mass, space.n)
            bad_rows.raise_unexplained(found, "")


class DeviceEmbedding(Embedding):
    """The flows of tables on a device as rows of numbers there."""

    def packed(self, table: Any, side: int, part: slice) -> Any:
        """Return rows of a table as `distances` reads them, on either side."""
        from ..cuda.pairs import launch

        rows = table.part(part.start, part.stop)
        columns = launch.ColumnsOnDevice(rows, self.columns, self.common, self.weight)
        return columns.pack(rows, table.normalized, self.dtype)

    def distances(self, a: Any, b: Any, rho: float) -> DeviceArray:
        """Return the float64 distances of packed rows."""
        from ..cuda.pairs import launch

        return launch.distances(a, b, rho)


class DeviceRingTiles:
    """Tiles on a ring, where every pair has a circulation of its own."""

    def __init__(self, tables: list[DeviceTable], space: Space, rho: float) -> None:
        self.tables, self.space, self.rho = (tables * 2)[:2], space, rho

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        return 2 * 8 * rows * rows

    def tile(self, i: slice, j: slice) -> DeviceArray:
        """Return the float64 distances of rows i of the first table and rows j of the second."""
        a, b = (table.part(part.start, part.stop) for table, part in zip(self.tables, (i, j), strict=True))
        a = a._replace(shape=(a.shape[0], 1, self.space.n), strides=(a.strides[0], 0, a.strides[1]))
        mass = "normalize" if self.tables[0].normalized else "equal"
        problem = histogram_problem(a, b, self.space, self.rho, mass)._replace(tolerance=ANY_SURPLUS)
        values = device.empty(a, problem.batch, np.dtype(np.float64))
        solve(problem, "value", NO_OUTPUT, False, values=values)
        return values


class OnHost:
    """Tiles that are computed on a device and copied to host memory."""

    def __init__(self, way: Any) -> None:
        self.scratch, self._tile = way.scratch, way.tile

    def tile(self, i: slice, j: slice) -> np.ndarray:
        """Return the float64 distances of rows i of the first table and rows j of the second."""
        return device.to_host(self._tile(i, j))


def tiles_of(tables: list[DeviceTable], space: Space, rho: float, mass: str, limit: int) -> Any:
    """Return the way to compute tiles."""
    if space.kind == "ring":
        return DeviceRingTiles(tables, space, rho)
    embedding = DeviceEmbedding(tables, space, rho, mass)  # type: ignore[arg-type]
    return DenseTiles(tables, embedding, rho, limit)  # type: ignore[arg-type]


def pairwise(
    tables: list[DeviceTable],
    space: Space,
    rho: float,
    mass: str,
    out: Any,
    condensed: bool,
    answer: Any,
    limit: int,
    progress: bool | None,
    key: Callable[[list[np.ndarray]], str],
) -> Any:
    """Return the answer of `fastemd.pairwise` for tables on a device; `key` digests copies in host memory."""
    rows, columns = len(tables[0]), len(tables[-1])
    symmetric = len(tables) == 1
    shape = matrix.shape_of(rows, columns, condensed)
    target = _output(out, tables, shape, answer)
    way = tiles_of(tables, space, rho, mass, limit)
    if target is not None:
        _fill(target, way, rows, columns, symmetric, condensed, limit, progress)
        device.synchronize(*(table.rows for table in tables))
        return device.to_caller(target) if out is None else out

    def digest() -> str:
        return key([table.on_host(0, len(table)).rows for table in tables])

    store.output(out, shape, answer)
    matrix.fill(out, OnHost(way), rows, columns, symmetric, condensed, limit, digest, progress)
    return out


def _output(out: Any, tables: list[DeviceTable], shape: tuple[int, ...], dtype: Any) -> DeviceArray | None:
    """Return an array on the device for the answer, or None where `out` is one in host memory."""
    like = tables[0].rows
    if out is None:
        return device.empty(like, shape, dtype)
    if readers.read(out, "out") is None:
        return None
    arguments = {table.name: table.rows for table in tables}
    answer: DeviceArray = inputs.output(out, "out", shape, dtype, arguments)
    return answer


def _fill(
    target: DeviceArray,
    way: Any,
    rows: int,
    columns: int,
    symmetric: bool,
    condensed: bool,
    limit: int,
    progress: bool | None,
) -> None:
    """Write all distances to an array on the device; arguments are those of `matrix.fill`."""
    from ..cuda.pairs import launch

    size = matrix.size_of(way, rows, columns, symmetric, limit)
    for _, i, j in matrix.watched(list(walk(rows, columns, size, symmetric)), progress):
        tile = way.tile(i, j)
        if condensed:
            launch.condense(tile, target, i.start, j.start, rows)
        else:
            launch.place(tile, target, i.start, j.start, symmetric)


def embed(table: DeviceTable, space: Space, weight: np.ndarray) -> Any:
    """Return the embedding of rows on a device, a column an edge."""
    from ..cuda.pairs import launch

    if isinstance(space, Tree):
        order, (first, beyond) = np.argsort(space.arrays.place, kind="stable"), subtree_ranges(space)
    else:
        order, first, beyond = np.arange(space.n), np.zeros(space.m, np.intp), np.arange(1, space.n)
    columns = launch.ColumnsOnDevice(table.rows, Columns(order, first, beyond, weight), np.zeros(space.m), weight)
    found = device.empty(table.rows, (len(table), space.m), table.dtype)
    columns.embed(table.rows, table.normalized, found)
    device.synchronize(table.rows)
    return device.to_caller(found)


def search(tables: list[DeviceTable], space: Space, rho: float, mass: str, k: int, limit: int) -> tuple[Any, Any]:
    """Return the distances and the indices of the k nearest rows, on the device."""
    from ..cuda.pairs import launch

    rows, like = len(tables[0]), tables[0].rows
    found = device.to_device(like, np.full((rows, k), np.inf))
    index = device.empty(like, (rows, k), np.dtype(np.int64))
    way = tiles_of(tables[::-1], space, rho, mass, limit)
    size = tile_rows(way, max(map(len, tables)), limit)
    for _, j, i in walk(len(tables[1]), rows, size, False):
        tile = way.tile(j, i)
        steps = i.start * k * 8
        part = found._replace(address=found.address + steps), index._replace(address=index.address + steps)
        launch.select(tile, j.start, *part)
    distances = device.empty(like, (rows, k), tables[0].dtype)
    launch.place(found, distances, 0, 0, False)
    device.synchronize(*(table.rows for table in tables))
    return device.to_caller(distances), device.to_caller(index)
