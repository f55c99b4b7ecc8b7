"""Tiles of UniFrac distances, from the shares of samples below the branches of a tree."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..pairs.columns import columns_of
from ..pairs.tables import Table
from ..pairs.tiles import GRAIN, SPARSE_TERM
from ..spaces.tree import Tree


def ways(rows: Table, space: Tree, method: str, alpha: float, limit: int) -> Any:
    """Return the way to compute tiles of a method."""
    columns = columns_of(space, rows.touched(), False)
    shares = rows.flows(columns, np.ones(len(columns.length)), 0, len(rows))
    if method == "generalized":
        return Generalized(shares, columns.length, alpha)
    if method == "unweighted":
        shares.data[:] = 1.0
    return Differences(shares, columns.length, method)


class Differences:
    """Sums of the differences of two samples, and what they are divided by.

    With s and t the sums of ``length * x`` over the branches of two samples, both together have ``s + t`` and, where x
    is 0 or 1, the branches of either have ``(s + t + difference) / 2``.
    """

    def __init__(self, shares: Any, length: np.ndarray, method: str) -> None:
        self.method = method
        shares.data *= length[shares.indices]
        self.shares = shares
        rows = np.repeat(np.arange(shares.shape[0]), np.diff(shares.indptr))
        self.totals = np.bincount(rows, shares.data, shares.shape[0])
        counts = np.bincount(shares.indices, minlength=shares.shape[1]).astype(float)
        self.sparse = float(counts @ counts) * SPARSE_TERM <= float(len(self.totals)) ** 2 * max(shares.shape[1], 1)
        self.kept: dict[int, tuple[int, Any]] = {}

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        dense = 0 if self.sparse else 4 * 8 * (rows + GRAIN) * self.shares.shape[1]
        return 4 * 8 * rows * rows + dense + 24 * self.shares.nnz

    def _prepared(self, side: int, part: slice) -> Any:
        from ..cpu.pairs import launch
        from ..cpu.pairs.micro_kernel import ROWS

        if side not in self.kept or self.kept[side][0] != part.start:
            rows = self.shares[part]
            if self.sparse:
                self.kept[side] = part.start, rows.tocsc() if side else rows
            else:
                group = launch.panel(np.dtype(np.float64)) if side else ROWS
                self.kept[side] = part.start, launch.pack(rows.toarray(), group)
        return self.kept[side][1]

    def tile(self, i: slice, j: slice) -> np.ndarray:
        """Return the distances of samples i and samples j."""
        from ..cpu.pairs import launch

        a, b = self._prepared(0, i), self._prepared(1, j)
        totals_a, totals_b = self.totals[i], self.totals[j]
        difference = launch.sparse(a, b, totals_a, totals_b, 1.0) if self.sparse else launch.dense(a, b, 1.0)
        if self.method == "weighted":
            return difference
        whole = totals_a[:, None] + totals_b
        if self.method == "unweighted":
            whole = (whole + difference) / 2.0
        return np.divide(difference, whole, out=np.zeros_like(difference), where=whole > 0)


class Generalized:
    """Generalized UniFrac: every branch of every pair has a weight of its own."""

    def __init__(self, shares: Any, length: np.ndarray, alpha: float) -> None:
        self.shares, self.length, self.alpha = shares, length, alpha

    def scratch(self, rows: int) -> int:
        """Return the bytes of a tile of so many rows."""
        return 2 * 8 * rows * rows + 2 * 8 * rows * len(self.length) + 24 * self.shares.nnz

    def tile(self, i: slice, j: slice) -> np.ndarray:
        """Return the distances of samples i and samples j."""
        from ..cpu.pairs import launch

        a, b = (np.ascontiguousarray(self.shares[part].toarray()) for part in (i, j))
        return launch.generalized(a, b, self.length, self.alpha)
