"""Arrays of any strides as rows: axes that lie evenly are merged, and what is left becomes a few launches."""

from __future__ import annotations

import itertools
from typing import Any


def matrix(x: Any, batch: tuple[int, ...], classes: bool) -> tuple[int, tuple[int, ...], int]:
    """Return the address, the strides of the leading axes broadcast to `batch`, and the step from column to column."""
    shape, strides, step = (x.shape, x.strides, 0) if classes else (x.shape[:-1], x.strides[:-1], x.strides[-1])
    own = tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
    return x.address, (0,) * (len(batch) - len(own)) + own, step


def strips(batch: tuple[int, ...], matrices: list[Any]) -> Any:
    """Yield launches: how many rows, how many lie evenly, the number of the first, and where each matrix begins.

    Axes that lie evenly in every matrix are merged; the last two of what is left go into one launch.
    """
    sizes: list[int] = []
    steps: list[list[int]] = []
    for axis, size in enumerate(batch):
        if size == 1:
            continue
        here = [each[1][axis] for each in matrices]
        if sizes and all(outer == size * inner for outer, inner in zip(steps[-1], here, strict=True)):
            sizes[-1] *= size
            steps[-1] = here
        else:
            sizes.append(size)
            steps.append(here)
    while len(sizes) < 2:
        sizes.insert(0, 1)
        steps.insert(0, [0] * len(matrices))
    rows = sizes[-2] * sizes[-1]
    for number, index in enumerate(itertools.product(*map(range, sizes[:-2]))):
        starts = []
        for k, (address, _, step) in enumerate(matrices):
            start = address + sum(i * at[k] for i, at in zip(index, steps, strict=False))
            starts.append((start, steps[-2][k], steps[-1][k], step))
        yield rows, sizes[-1], number * rows, starts
