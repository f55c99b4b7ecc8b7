"""The columns in which the flows of rows differ: edges without mass are left out, edges of equal flow are joined."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..spaces.base import Space
from ..spaces.tree import Tree


class Columns(NamedTuple):
    """Flows as differences of prefix sums over some bins of a chain or tree.

    Parameters
    ----------
    order : ndarray of int, shape (t,)
        The bins, in an order in which each subtree is a range.
    first, beyond : ndarray of int, shape (e,)
        The flow of column e is the mass of the bins order[first[e]] .. order[beyond[e] - 1].
    length : ndarray, shape (e,)
        Total length of the edges with that flow.
    """

    order: np.ndarray
    first: np.ndarray
    beyond: np.ndarray
    length: np.ndarray

    def flows(self, rows: np.ndarray) -> np.ndarray:
        """Return the flows, float64 of shape (r, e), of histograms (r, n)."""
        sums = np.zeros((len(rows), len(self.order) + 1))
        np.cumsum(rows[:, self.order], axis=1, dtype=np.float64, out=sums[:, 1:])
        flows = np.take(sums, self.beyond, axis=1)
        if self.first.any():
            flows -= np.take(sums, self.first, axis=1)
        return flows

    def depth(self) -> int:
        """Return the number of columns to which a bin adds, summed over the bins."""
        return int((self.beyond - self.first).sum())

    def paths(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns to which each of n bins adds, those of bin i from starts[i] to starts[i + 1] - 1."""
        lengths = self.beyond - self.first
        columns = np.repeat(np.arange(len(self.first)), lengths)
        places = np.arange(len(columns)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + self.first[columns]
        bins = self.order[places]
        by_bin = np.argsort(bins, kind="stable")
        return np.concatenate([[0], np.cumsum(np.bincount(bins, minlength=n))]), columns[by_bin]


def columns_of(space: Space, touched: np.ndarray, equal: bool) -> Columns:
    """Return the columns of rows with mass in the bins `touched`; with `equal`, all rows have the same mass."""
    if isinstance(space, Tree):
        _, first, beyond = space.subtrees
        edges = beyond > 0  # the root has none
        place = space.arrays.place
        first, beyond, length = first[edges], beyond[edges], space.lengths[edges]
        positions = space.n_nodes
    else:
        place = np.arange(space.n)
        first, beyond, length = np.zeros(space.m, np.intp), np.arange(1, space.n), space.lengths
        positions = space.n
    bins = np.flatnonzero(touched)
    order = bins[np.argsort(place[bins], kind="stable")]
    before = np.zeros(positions + 1, np.intp)
    np.add.at(before, place[order] + 1, 1)
    before = np.cumsum(before)
    first, beyond = before[first], before[beyond]
    differs = (beyond > first) & (length > 0)
    if equal:
        differs &= beyond - first < len(order)
    size = len(order) + 1
    keys, column = np.unique(first[differs] * size + beyond[differs], return_inverse=True)
    return Columns(order, keys // size, keys % size, np.bincount(column, length[differs], len(keys)))


def subtree_ranges(tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranges of bins below each edge, in depth-first order; empty at the root and where there is none."""
    _, first, beyond = tree.subtrees
    before = np.zeros(tree.n_nodes + 1, np.intp)
    np.add.at(before, tree.arrays.place + 1, 1)
    before = np.cumsum(before)
    return before[first], np.where(beyond > 0, before[beyond], before[first])
