"""The nearest rows: lower bounds rule out most rows, and only the others are compared."""

from __future__ import annotations

import numpy as np

from ..spaces.base import Space
from .tables import Table
from .tiles import DenseTiles, Embedding, tile_rows, tiles_of, walk

GROUPS = 8  # groups of columns whose sums bound the distance from below
FEWEST = 4  # columns in a group from which on bounds pay


def search(
    tables: list[Table], space: Space, rho: float, mass: str, k: int, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the float64 distances and the indices of the k nearest rows."""
    found = np.full((len(tables[0]), k), np.inf)
    index = np.zeros((len(tables[0]), k), np.int64)
    way = tiles_of(tables, space, rho, mass, limit)
    size = tile_rows(way, max(map(len, tables)), limit)
    if isinstance(way, DenseTiles) and rho in (1.0, 2.0) and way.embedding.size >= FEWEST * GROUPS:
        bytes_of_row = way.embedding.size * way.embedding.dtype.itemsize
        block = max(size, limit // (3 * bytes_of_row))
        _search_bounded(tables, way.embedding, rho, block, found, index)
        return found, index
    for _, i, j in walk(len(tables[0]), len(tables[1]), size, False):
        _merge(way.tile(i, j), j.start, found[i], index[i])
    return found, index


def _merge(tile: np.ndarray, offset: int, found: np.ndarray, index: np.ndarray) -> None:
    """Update the nearest rows by the distances of a tile; of equal ones the first index is kept."""
    k = found.shape[1]
    if tile.shape[1] > 4 * k:
        # Everything up to the k-th smallest number, so that no tie is lost.
        bound = np.partition(tile, k - 1, axis=1)[:, k - 1 : k]
        rows, columns = np.nonzero(tile <= np.minimum(bound, found[:, k - 1 :]))
    else:
        rows, columns = np.nonzero(np.ones(tile.shape, bool))
    starts = np.searchsorted(rows, np.arange(len(tile) + 1))
    for row in range(len(tile)):
        chosen = columns[starts[row] : starts[row + 1]]
        distances = np.concatenate([found[row], tile[row, chosen]])
        indices = np.concatenate([index[row], chosen + offset])
        best = np.argsort(distances, kind="stable")[:k]
        found[row], index[row] = distances[best], indices[best]


def _search_bounded(
    tables: list[Table], embedding: Embedding, rho: float, size: int, found: np.ndarray, index: np.ndarray
) -> None:
    """Search on a chain or tree: only rows that lower bounds admit are compared in full."""
    from ..cpu.pairs import launch

    group = -(-embedding.size // GROUPS)
    starts = np.arange(0, embedding.size, group)
    shrink = np.diff(np.append(starts, embedding.size)) ** (1.0 / rho - 1.0)
    for j in range(0, len(tables[1]), size):
        block = launch.searched(embedding.block(tables[1], j, min(j + size, len(tables[1]))), starts, shrink)
        for i in range(0, len(tables[0]), size):
            a = embedding.block(tables[0], i, min(i + size, len(tables[0])))
            part = slice(i, i + len(a))
            launch.nearest(a, block, starts, shrink, rho, j, found[part], index[part])
