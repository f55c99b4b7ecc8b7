"""Where distances are written: arrays, memory maps and zarr arrays; and how an interrupted run is resumed.

Beside a memory map or a zarr array a record is kept, FILE.fastemd.json: a digest of the input, the size of the tiles,
and a checksum of each tile that has been written. A tile is in the record only once it is on the disk. The next run of
the same input computes the tiles that are missing, or whose checksum is another one.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..spaces.base import Space

FLUSHED = 16  # tiles after which a record is written


def output(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Return `out`, if distances can be written to it, or a new array."""
    if out is None:
        return np.zeros(shape, dtype)
    if not isinstance(out, np.ndarray) and not _is_zarr(out):
        raise TypeError(
            f"out is of type {type(out).__name__}. Needed: a numpy array, a numpy.memmap or a zarr array of shape "
            f"{shape}, {dtype}."
        )
    if tuple(out.shape) != shape:
        raise ValueError(f"out has shape {tuple(out.shape)}. Needed: {shape}, a number for each pair.")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}. Needed: {dtype}; or say dtype='{out.dtype}'.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError("out is read-only. Needed: an array that can be written; open a memory map with mode 'r+'.")
    return out


def _is_zarr(out: Any) -> bool:
    return type(out).__module__.partition(".")[0] == "zarr"


def record_path(out: Any) -> Path | None:
    """Return the path of the record of an array that lies in a file, or None."""
    if isinstance(out, np.memmap) and getattr(out, "filename", None) is not None and out.base is not None:
        return Path(f"{out.filename}.fastemd.json")
    if _is_zarr(out):
        root = getattr(getattr(out, "store", None), "root", None)
        if root is not None:
            inner = str(getattr(out, "path", "") or "").strip("/").replace("/", ".")
            return Path(f"{os.fspath(root)}{'.' + inner if inner else ''}.fastemd.json")
    return None


def digest(tables: list[Any], space: Space, options: dict[str, Any]) -> str:
    """Return a digest of the rows (dense or csr arrays), the space and the options of a call."""
    result = hashlib.blake2b(digest_size=16)
    result.update(json.dumps([options, space.kind, space.n], sort_keys=True, default=str).encode())
    for value in space.content().values():
        result.update(repr(value).encode())
    for rows in tables:
        parts = (rows,) if isinstance(rows, np.ndarray) else (rows.data, rows.indices, rows.indptr)
        for part in parts:
            result.update(repr((part.shape, str(part.dtype))).encode())
            for begin in range(0, len(part), 4096 if part.ndim == 2 else 1 << 20):
                result.update(np.ascontiguousarray(part[begin : begin + (4096 if part.ndim == 2 else 1 << 20)]).data)
    return result.hexdigest()


class Record:
    """The record of what has been written to a file."""

    def __init__(self, path: Path | None, key: str, size: int, out: Any) -> None:
        self.path, self.key, self.size, self.out = path, key, size, out
        self.sums: dict[int, int] = {}
        self.waiting = 0
        if path is not None and path.exists():
            self._load(path)
        else:
            _reserve(out)

    def _load(self, path: Path) -> None:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            key, size = str(kept["input"]), int(kept["tile"])
            sums = {int(number): int(value) for number, value in kept["tiles"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} is no record of fastemd ({type(error).__name__}). Needed: the record of an interrupted run, "
                "or none; delete it to compute anew."
            ) from None
        if key != self.key:
            raise ValueError(
                f"{path} is the record of other rows, another space or other options. Needed: the same call as the "
                "one that was interrupted, another out, or a new run; delete the record to write over the file."
            )
        self.size, self.sums = size, sums

    def has(self, number: int, i: slice, j: slice) -> bool:
        """Whether a tile has been written and is still as it was."""
        return number in self.sums and self.sums[number] == _checksum(self.out[i, j])

    def add(self, number: int, tile: np.ndarray) -> None:
        """Note a tile that has been written."""
        if self.path is None:
            return
        self.sums[number] = _checksum(tile)
        self.waiting += 1
        if self.waiting >= FLUSHED:
            self.save(False)

    def save(self, finished: bool) -> None:
        """Write the record, after what it says is on the disk."""
        if self.path is None:
            return
        if isinstance(self.out, np.memmap):
            self.out.flush()
        text = json.dumps({"input": self.key, "tile": self.size, "finished": finished, "tiles": self.sums})
        beside = self.path.with_name(self.path.name + ".new")
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        self.waiting = 0


def _checksum(tile: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(tile).data)


def _reserve(out: Any) -> None:
    """Take the disk space of a memory map before anything is written to it: a full disk would end the process."""
    if isinstance(out, np.memmap) and hasattr(os, "posix_fallocate"):
        size = out.offset + out.nbytes
        with open(out.filename, "r+b") as file:  # type: ignore[arg-type]  # memory maps of a path
            os.posix_fallocate(file.fileno(), 0, size)
