"""The matrix of all pairs, computed and written tile by tile, with a progress bar."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from . import store
from .tiles import GRAIN, tile_rows, walk

DIAGONAL = 6  # tiles along the diagonal of a symmetric matrix, at least
PATIENCE = 2.0  # seconds after which a progress bar appears on a terminal


def shape_of(rows: int, columns: int, condensed: bool) -> tuple[int, ...]:
    """Return the shape of the answer."""
    return (rows * (rows - 1) // 2,) if condensed else (rows, columns)


def size_of(way: Any, rows: int, columns: int, symmetric: bool, limit: int) -> int:
    """Return the rows of a tile. Those on the diagonal are computed whole: of a symmetric matrix a small part."""
    return tile_rows(way, max(-(-rows // DIAGONAL), 2 * GRAIN) if symmetric else max(rows, columns), limit)


def fill(
    target: Any,
    way: Any,
    rows: int,
    columns: int,
    symmetric: bool,
    condensed: bool,
    limit: int,
    digest: Callable[[], str],
    progress: bool | None,
) -> None:
    """Write all distances to an array; of a file, those that its record lacks.

    Parameters
    ----------
    target : ndarray or zarr array
    way : object
        Its ``tile(i, j)`` returns the distances of two slices of rows, its ``scratch(rows)`` the bytes of a tile.
    rows, columns : int
    symmetric, condensed : bool
        Whether tiles below the diagonal are left out and mirrored, and whether only the upper triangle is written.
    limit : int
        Bytes of scratch.
    digest : callable
        Returns what names the input in the record.
    progress : bool or None
        As of `fastemd.pairwise`.
    """
    size = size_of(way, rows, columns, symmetric, limit)
    path = None if condensed else store.record_path(target)
    record = store.Record(path, "" if path is None else digest(), size, target)
    for number, i, j in watched(list(walk(rows, columns, record.size, symmetric)), progress):
        if record.has(number, i, j):
            continue
        tile = way.tile(i, j)
        if symmetric and i == j:
            tile = np.triu(tile, 1)
            tile = tile + tile.T
        with np.errstate(over="ignore", under="ignore"):
            tile = tile.astype(target.dtype)
        if condensed:
            _write_condensed(target, tile, i, j, rows)
            continue
        target[i, j] = tile
        if symmetric and i != j:
            target[j, i] = tile.T
        record.add(number, tile)
    record.save(True)


def _write_condensed(out: np.ndarray, tile: np.ndarray, i: slice, j: slice, rows: int) -> None:
    """Write what a tile has above the diagonal."""
    for k, row in enumerate(range(i.start, i.stop)):
        first = max(j.start, row + 1)
        if first < j.stop:
            start = rows * row - row * (row + 1) // 2 + first - row - 1
            out[start : start + j.stop - first] = tile[k, first - j.start :]


def watched(parts: list[Any], progress: bool | None) -> Iterable[Any]:
    """Return the tiles to go through, with a progress bar where that is wanted."""
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return parts
    return _with_bar(parts, 0.0 if progress else PATIENCE)


def _with_bar(parts: list[Any], patience: float) -> Iterator[Any]:
    """Yield the tiles; show a progress bar once that has taken some time."""
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        bar: Any = None
        for number, part in enumerate(parts):
            if bar is None and time.monotonic() - begin >= patience:
                bar = _bar(stack, patience == 0.0)
                task = bar.add_task("pairs", total=len(parts)) if bar else None
            if bar:
                bar.update(task, completed=number)
            yield part
        if bar:
            bar.update(task, completed=len(parts))


def _bar(stack: contextlib.ExitStack, wanted: bool) -> Any:
    """Return a progress bar of rich on stderr, or False where rich is missing and was not asked for."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        if wanted:
            raise ImportError(
                "progress=True needs the package rich, which is not installed. Needed: pip install 'fastemd[cli]', or "
                "progress=False."
            ) from None
        return False
    return stack.enter_context(Progress(console=Console(stderr=True)))
