"""Leading axes as rows: neighbouring axes that are evenly strided in every array are merged, without a copy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Strides = tuple[int, ...]


def merged_axes(batch: tuple[int, ...], strides: Sequence[Strides]) -> tuple[list[int], list[list[int]]]:
    """Return the sizes of the merged axes of a batch and, for each of them, the stride of each array."""
    sizes: list[int] = []
    steps: list[list[int]] = []
    for axis, size in enumerate(batch):
        if size == 1:
            continue
        own = [each[axis] for each in strides]
        if sizes and all(outer == size * inner for outer, inner in zip(steps[-1], own, strict=True)):
            sizes[-1] *= size
            steps[-1] = own
        else:
            sizes.append(size)
            steps.append(own)
    return sizes, steps


def row_blocks(batch: tuple[int, ...], arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """Return views of arrays of shape (*batch, ...) with one axis of rows each, as few views as possible."""
    if len(batch) < 2:
        return [list(arrays) if batch else [x.reshape(1, *x.shape) for x in arrays]]
    sizes, _ = merged_axes(batch, [x.strides for x in arrays])
    sizes = sizes or [1]
    merged = [x.reshape(*sizes, *x.shape[len(batch) :]) for x in arrays]
    longest = sizes.index(max(sizes))
    merged = [np.moveaxis(x, longest, len(sizes) - 1) for x in merged]
    return [[x[index] for x in merged] for index in np.ndindex(*sizes[:longest], *sizes[longest + 1 :])]


def device_rows(x: Any, batch: tuple[int, ...], classes: bool = False) -> tuple[int, Strides, int]:
    """Return the address of a `DeviceArray`, its strides broadcast to `batch`, and the stride between bins."""
    shape, strides, step = (x.shape, x.strides, 0) if classes else (x.shape[:-1], x.strides[:-1], x.strides[-1])
    own = tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))
    return x.address, (0,) * (len(batch) - len(own)) + own, step


def launches(
    batch: tuple[int, ...], matrices: Sequence[tuple[int, Strides, int]]
) -> Iterator[tuple[int, int, int, list[tuple[int, int, int, int]]]]:
    """Yield launches: rows, rows of the inner axis, number of the first row, and where each matrix begins.

    A launch takes the last two merged axes. A matrix begins at an address, with the strides of both axes and of bins.
    """
    sizes, steps = merged_axes(batch, [strides for _, strides, _ in matrices])
    while len(sizes) < 2:
        sizes.insert(0, 1)
        steps.insert(0, [0] * len(matrices))
    rows = sizes[-2] * sizes[-1]
    for number, index in enumerate(itertools.product(*map(range, sizes[:-2]))):
        starts = []
        for k, (address, _, step) in enumerate(matrices):
            start = address + sum(i * own[k] for i, own in zip(index, steps, strict=False))
            starts.append((start, steps[-2][k], steps[-1][k], step))
        yield rows, sizes[-1], number * rows, starts
