"""Files of distances. They have another name until they are finished, so that no part of one passes for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

KINDS = (".npy", ".zarr", ".tsv")
QUERIES = 8192  # rows whose neighbours are kept at a time
CHUNK = 1024  # rows and columns of a chunk of zarr


def output_path(path: str, overwrite: bool) -> Path:
    """Return the path of a file that can be written.

    Raises
    ------
    ValueError
        If its ending is unknown.
    OSError
        If it exists and is not to be overwritten, or its folder cannot be written to.
    """
    out = Path(path)
    if out.suffix.lower() not in KINDS:
        raise ValueError(f"-o {path} has an unknown ending. Needed: one of {', '.join(KINDS)}.")
    if out.exists() and not overwrite:
        raise FileExistsError(f"{path} exists. Needed: another file, or --overwrite.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(out.parent)!r} for -o {path}. Needed: one that exists.")
    if not os.access(out.parent, os.W_OK):
        raise PermissionError(f"Nothing can be written to {str(out.parent)!r}. Needed: -o in another folder.")
    return out


class MatrixFile:
    """The file of a matrix of distances, written in any order and resumed.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        (rows, columns), or (pairs,) of the upper triangle.
    dtype : dtype
    names : list of str, or None
        Of the rows, which are those of the columns.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any, names: list[str] | None) -> None:
        self.path, self.shape, self.dtype, self.names = path, shape, np.dtype(dtype), names
        self.zarr = path.suffix.lower() == ".zarr"
        self.part = path.with_name(path.name + (".part.zarr" if self.zarr else ".part.npy"))
        self.record = self.part.with_name(self.part.name + ".fastemd.json")

    def open(self) -> Any:
        """Return the array to write to: that of the run that was interrupted, or a new one."""
        if self.part.exists() and self.record.exists():
            found = _zarr().open_array(str(self.part), mode="r+") if self.zarr else np.load(self.part, mmap_mode="r+")
            if (tuple(found.shape), found.dtype) == (self.shape, self.dtype):
                return found
            raise ValueError(
                f"{self.part} is a part of another matrix, of shape {tuple(found.shape)}, {found.dtype}. Needed: the "
                f"command that was interrupted, or none; delete {self.record}."
            )
        if not self.zarr:
            return np.lib.format.open_memmap(self.part, "w+", self.dtype, self.shape)
        chunks = tuple(min(CHUNK ** (3 - len(self.shape)), max(size, 1)) for size in self.shape)
        return _zarr().create_array(str(self.part), shape=self.shape, chunks=chunks, dtype=self.dtype, overwrite=True)

    def finish(self, array: Any) -> None:
        """Give the file its name."""
        if self.zarr:
            array.attrs.update({"names": self.names} if self.names else {})
        elif self.path.suffix.lower() == ".tsv":
            write_lines(self.path, (_pairs if len(self.shape) == 1 else _square)(array, self.names))
            self.part.unlink()
        else:
            array.flush()
            if self.names:
                write_lines(self.path.with_suffix(".names.txt"), ([name] for name in self.names))
        if self.path.suffix.lower() != ".tsv":
            _replace(self.part, self.path)
        self.record.unlink(missing_ok=True)


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)


def _square(array: Any, names: list[str] | None) -> Iterator[Iterable[Any]]:
    """Yield the lines of a matrix, as scikit-bio and QIIME 2 read it."""
    labels = names or range(len(array))
    yield ["", *labels]
    for name, row in zip(labels, array, strict=True):
        yield [name, *row]


def _pairs(array: Any, names: list[str] | None) -> Iterator[Iterable[Any]]:
    """Yield a line for each pair of the upper triangle."""
    yield ["first", "second", "distance"]
    count = len(names) if names else round((1 + np.sqrt(1 + 8 * len(array))) / 2)
    labels = names or range(count)
    pairs = ((labels[i], labels[j]) for i in range(count) for j in range(i + 1, count))
    for (first, second), distance in zip(pairs, array, strict=True):
        yield [first, second, distance]


def write_lines(path: Path, lines: Iterable[Iterable[Any]]) -> None:
    """Write lines of fields, separated by tabs, to a file that has its name only once it is whole."""
    new = path.with_name(path.name + ".new")
    with open(new, "w", encoding="utf-8") as file:
        for fields in lines:
            file.write("\t".join(map(str, fields)) + "\n")
    _replace(new, path)


class NeighbourParts:
    """Neighbours of some rows at a time, kept in the folder OUT.part until all are there; `key` names the input."""

    def __init__(self, path: Path, key: str) -> None:
        self.folder, self.key = path.with_name(path.name + ".part"), key
        self.record = self.folder / "input.txt"
        if self.record.exists() and self.record.read_text(encoding="utf-8") != key:
            raise ValueError(
                f"{self.folder} is a part of other neighbours. Needed: the command that was interrupted, or none; "
                f"delete {self.folder}."
            )

    def of(self, count: int) -> list[slice]:
        """Return the parts of so many rows."""
        return [slice(i, min(i + QUERIES, count)) for i in range(0, max(count, 1), QUERIES)]

    def _file(self, part: slice) -> Path:
        return self.folder / f"{part.start}.npz"

    def has(self, part: slice) -> bool:
        """Whether a part is there."""
        return self._file(part).exists()

    def add(self, part: slice, distances: np.ndarray, indices: np.ndarray) -> None:
        """Keep the neighbours of a part."""
        self.folder.mkdir(exist_ok=True)
        self.record.write_text(self.key, encoding="utf-8")
        new = self.folder / "new.npz"
        np.savez(new, distances=distances, indices=indices)
        new.replace(self._file(part))

    def whole(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances and indices of all rows."""
        kept = [np.load(self._file(part)) for part in self.of(count)]
        distances, indices = (np.concatenate([part[key] for part in kept]) for key in ("distances", "indices"))
        for part in kept:
            part.close()
        return distances, indices

    def remove(self) -> None:
        """Remove the folder, once the file has its name."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_neighbours(path: Path, distances: np.ndarray, indices: np.ndarray, names: tuple[Any, Any]) -> list[Path]:
    """Write the neighbours of each row; return the files: of .npy two, NAME.distances.npy and NAME.indices.npy."""
    queries, rows = names
    if path.suffix.lower() == ".npy":
        written = []
        for key, array in (("distances", distances), ("indices", indices)):
            target = path.with_suffix(f".{key}.npy")
            new = path.with_suffix(f".{key}.new.npy")
            np.save(new, array)
            _replace(new, target)
            written.append(target)
        return written
    if path.suffix.lower() == ".zarr":
        part = path.with_name(path.name + ".part.zarr")
        group = _zarr().open_group(str(part), mode="w")
        group.create_array("distances", data=distances)
        group.create_array("indices", data=indices)
        group.attrs.update({key: value for key, value in (("queries", queries), ("rows", rows)) if value})
        _replace(part, path)
        return [path]

    def lines() -> Iterator[Iterable[Any]]:
        yield ["query", "rank", "neighbour", "distance"]
        for i, (row, near) in enumerate(zip(distances, indices, strict=True)):
            for rank, (distance, j) in enumerate(zip(row, near, strict=True), 1):
                yield [queries[i] if queries else i, rank, rows[j] if rows else j, distance]

    write_lines(path, lines())
    return [path]


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise ImportError(
            "A .zarr is written by zarr, which is not installed. Needed: pip install 'fastemd[dask]'."
        ) from None
    return zarr
