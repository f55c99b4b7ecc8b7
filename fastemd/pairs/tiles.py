"""All pairs by square tiles: which way a tile is computed, and how large it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..exact.call import NO_OUTPUT, histogram_problem, solve
from ..formulas.mass import ANY_SURPLUS
from ..spaces.base import Space
from .columns import columns_of
from .tables import Table

GRAIN = 96  # rows: whole groups and whole panels of every kernel
LARGEST = 32 * GRAIN
EMBEDDED = 4096  # rows that are embedded at a time
SAMPLE = 128  # rows whose mean flows are taken off
SPARSE_TERM = 20  # numbers that a dense kernel adds up in the time of one term of a sparse one


class Embedding:
    """The flows of tables as rows of numbers whose distances are those of the histograms.

    The distance of two rows is the sum of ``abs(x - y) ** rho`` over the columns. Flows that are common to all rows are
    taken off before rows are rounded, so that near rows keep their digits.
    """

    def __init__(self, tables: list[Table], space: Space, rho: float, mass: str) -> None:
        touched = np.logical_or.reduce([table.touched() for table in tables])
        self.columns = columns_of(space, touched, mass != "root")
        self.weight = self.columns.length ** (1.0 / rho)
        self.dtype = np.dtype(np.float64 if any(t.dtype.itemsize == 8 for t in tables) else np.float32)
        self.size = len(self.weight)
        first = next((table for table in tables if len(table)), None)
        sample = np.zeros((1, space.n)) if first is None else first.sample(SAMPLE)
        self.common = self.columns.flows(sample).mean(axis=0)

    def block(self, table: Table, first: int, last: int) -> np.ndarray:
        """Return rows first..last - 1 of a table, shape (last - first, size)."""
        from ..cpu.pairs import launch

        out = np.empty((last - first, self.size), self.dtype)
        for begin in range(first, last, EMBEDDED):
            end = min(begin + EMBEDDED, last)
            rows, scale = table.rows[begin:end], None if table.scale is None else table.scale[begin:end]
            rows = np.ascontiguousarray(rows.toarray() if table.sparse else rows)
            if rows.dtype not in (np.float32, np.float64):
                rows = rows.astype(np.float64)
            part = out[begin - first : end - first]
            launch.embed(rows, scale, self.columns, self.common, self.weight, part)
        return out

    def packed(self, table: Table, side: int, part: slice) -> Any:
        """Return rows of a table as `distances` reads them, on side 0 or 1."""
        from ..cpu.pairs import launch
        from ..cpu.pairs.micro_kernel import ROWS

        group = ROWS if side == 0 else launch.panel(self.dtype)
        return launch.pack(self.block(table, part.start, part.stop), group)

    def distances(self, a: Any, b: Any, rho: float) -> Any:
        """Return the float64 distances of packed rows, those of a on side 0 and those of b on side 1."""
        from ..cpu.pairs import launch

        return launch.dense(a, b, rho)


class RingTiles:
    """Tiles on a ring, where every pair has a circulation of its own."""

    def __init__(self, tables: list[Table], space: Space, rho: float) -> None:
        self.tables, self.space, self.rho = (tables * 2)[:2], space, rho

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        return 8 * (2 * rows * self.space.n + 2 * rows * rows)

    def tile(self, i: slice, j: slice) -> np.ndarray:
        """Return the float64 distances of rows i of the first table and rows j of the second."""
        a, b = (t.dense(part.start, part.stop) for t, part in zip(self.tables, (i, j), strict=True))
        # The masses have been compared, or are 1.
        problem = histogram_problem(a[:, None], b, self.space, self.rho, "equal")._replace(tolerance=ANY_SURPLUS)
        return np.asarray(solve(problem, "value", NO_OUTPUT, True)[0], np.float64)


class DenseTiles:
    """Tiles of embedded rows. Packed rows are kept as long as they take half of the memory at most."""

    def __init__(self, tables: list[Table], embedding: Embedding, rho: float, limit: int) -> None:
        self.tables, self.embedding, self.rho = (tables * 2)[:2], embedding, rho
        self.keeps = sum(map(len, self.tables)) * embedding.size * embedding.dtype.itemsize <= limit // 2
        self.kept: dict[tuple[int, int], Any] = {}

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        embedded = self.embedding.size * self.embedding.dtype.itemsize
        passing = 8 * min(rows, EMBEDDED) * self.tables[0].rows.shape[1]
        return 2 * (2 * rows + GRAIN) * embedded + 3 * 8 * rows * rows + passing

    def _packed(self, side: int, part: slice) -> Any:
        key = (side, part.start)
        if key in self.kept:
            return self.kept[key]
        if not self.keeps:
            self.kept = {k: packed for k, packed in self.kept.items() if k[0] != side}
        self.kept[key] = packed = self.embedding.packed(self.tables[side], side, part)
        return packed

    def tile(self, i: slice, j: slice) -> Any:
        """Return the float64 distances of rows i of the first table and rows j of the second."""
        return self.embedding.distances(self._packed(0, i), self._packed(1, j), self.rho)


class SparseTiles:
    """Tiles of sparse rows on a tree, by the columns that two rows share."""

    def __init__(self, tables: list[Table], embedding: Embedding, rho: float) -> None:
        self.rho = rho
        flows = [t.flows(embedding.columns, embedding.weight, 0, len(t)) for t in tables]
        self.flows = (flows * 2)[:2]
        self.norms = [_norms(each, rho) for each in self.flows]
        counts = [np.bincount(each.indices, minlength=each.shape[1]).astype(float) for each in self.flows]
        self.terms = float(counts[0] @ counts[1])
        self.kept: tuple[int, Any] | None = None

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        return 2 * 8 * rows * rows + 24 * sum(each.nnz for each in self.flows)

    def tile(self, i: slice, j: slice) -> np.ndarray:
        """Return the float64 distances of rows i of the first table and rows j of the second."""
        from ..cpu.pairs import launch

        if self.kept is None or self.kept[0] != j.start:
            self.kept = (j.start, self.flows[1][j].tocsc())
        return launch.sparse(self.flows[0][i], self.kept[1], self.norms[0][i], self.norms[1][j], self.rho)


def _norms(flows: Any, rho: float) -> np.ndarray:
    """Return the distance of each row from 0, added up in the order of the columns as the kernel does."""
    rows = np.repeat(np.arange(flows.shape[0]), np.diff(flows.indptr))
    powers = flows.data if rho == 1 else flows.data * flows.data if rho == 2 else flows.data**rho
    return np.bincount(rows, powers, flows.shape[0])


def tiles_of(tables: list[Table], space: Space, rho: float, mass: str, limit: int) -> Any:
    """Return the way to compute tiles that takes the least time."""
    if space.kind == "ring":
        return RingTiles(tables, space, rho)
    embedding = Embedding(tables, space, rho, mass)
    if space.kind == "tree" and all(table.sparse for table in tables) and embedding.columns.depth() * 16 <= limit:
        found = SparseTiles(tables, embedding, rho)
        if found.terms * SPARSE_TERM <= float(len(tables[0])) * len(tables[-1]) * embedding.size:
            return found
    return DenseTiles(tables, embedding, rho, limit)


def tile_rows(way: Any, rows: int, limit: int) -> int:
    """Return the number of rows of a tile that fits into the limit, whole grains."""
    most = min(LARGEST, -(-max(rows, 1) // GRAIN) * GRAIN)
    for size in range(most, 0, -GRAIN):
        if way.scratch(size) <= limit:
            return size
    raise ValueError(
        f"memory_limit is {limit:,} bytes, and the smallest tile, {GRAIN} x {GRAIN} pairs, takes "
        f"{way.scratch(GRAIN):,}. Needed: memory_limit={way.scratch(GRAIN)} or more."
    )


def walk(rows: int, columns: int, size: int, symmetric: bool) -> Iterator[tuple[int, slice, slice]]:
    """Yield number, rows and columns of each tile; of a symmetric matrix those on the diagonal and above."""
    number = 0
    for i in range(0, rows, size):
        for j in range(i if symmetric else 0, columns, size):
            yield number, slice(i, min(i + size, rows)), slice(j, min(j + size, columns))
            number += 1
