"""How the operator of the loss is computed where its rows are distributed over processes, in torch's DTensors."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.experimental import register_sharding


@functools.cache
def register() -> None:
    """Tell torch which distributions of the arguments give which distributions of the answers."""
    register_sharding(torch.ops.fastemd.emd.default)(_shardings)


def _shardings(input: Any, target: Any, lengths: Any, *options: Any) -> list[tuple[list[Any], list[Any]]]:
    """Return placements of the answers and of the arguments: whole, or each process with its rows."""
    others: list[Any] = [None if lengths is None else Replicate(), *(None for _ in options)]
    whole = Replicate()
    found = [([whole, whole, whole], [whole, whole, *others])]
    for axis in range(len(input.shape) - 1):
        if axis < len(target.shape) and input.shape[axis] == target.shape[axis]:
            rows = Shard(axis)
            found.append(([rows, rows, whole if lengths is None else rows], [rows, rows, *others]))
    return found
