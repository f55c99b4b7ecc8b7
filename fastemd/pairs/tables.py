"""Tables of histograms, a row a histogram: dense or sparse, checked once, and their embeddings by blocks of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import bad_rows, inputs, placement
from ..arrays.device import DeviceArray
from ..arrays.sparse import is_sparse, to_scipy
from ..spaces.base import Space
from .columns import Columns


class Table:
    """Rows of histograms with their masses.

    Parameters
    ----------
    rows : ndarray, shape (r, n), or csr array
        Finite and not negative. Sparse ones are float64, without stored zeros, sorted.
    mass : ndarray, shape (r,), float64
    dtype : dtype
        Of answers.
    name : str
        Of the argument.
    """

    def __init__(self, rows: Any, name: str, dtype: Any) -> None:
        self.rows, self.name, self.dtype = rows, name, dtype
        self.sparse = not isinstance(rows, np.ndarray)
        self.mass = np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()
        self.scale: np.ndarray | None = None  # by which rows are multiplied

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def touched(self) -> np.ndarray:
        """Return in which bins some row has mass."""
        if self.sparse:
            return np.bincount(self.rows.indices, minlength=self.rows.shape[1]) > 0
        return np.asarray((self.rows > 0).any(axis=0))

    def dense(self, first: int, last: int) -> np.ndarray:
        """Return rows first..last - 1 as they are compared, dense."""
        rows = self.rows[first:last]
        rows = rows.toarray() if self.sparse else rows
        return rows if self.scale is None else rows * self.scale[first:last, None]

    def sample(self, count: int) -> np.ndarray:
        """Return the first rows as they are compared, at most so many."""
        return self.dense(0, min(count, len(self)))

    def flows(self, columns: Columns, weight: np.ndarray, first: int, last: int) -> Any:
        """Return the flows of rows first..last - 1 times the weights of the columns, as a float64 csr array."""
        from scipy.sparse import csr_array

        starts, path = columns.paths(self.rows.shape[1])
        paths = csr_array((np.ones(len(path)), path, starts), shape=(self.rows.shape[1], len(columns.length)))
        rows = self.rows[first:last]
        if self.scale is not None:
            numbers = rows.data * np.repeat(self.scale[first:last], np.diff(rows.indptr))
            rows = csr_array((numbers, rows.indices, rows.indptr), shape=rows.shape)
        flows = csr_array(rows @ paths)
        flows.sort_indices()
        flows.data *= weight[flows.indices]
        return flows


def table_of(x: Any, name: str, space: Space) -> Table:
    """Return a table of `x`; its rows are checked, masses aside."""
    if is_sparse(x):
        return _sparse_table(to_scipy(x), name, space)
    rows = inputs.histograms(x, name, space)
    if isinstance(rows, DeviceArray):
        raise placement.host_memory_error(rows, name, "this table is read there")
    rows = bad_rows.readable(rows)
    check_rows_axis(rows, name, space)
    bad_rows.check_rows(rows, name, "")
    return Table(rows, name, inputs.answer_dtype(rows.dtype))


def check_rows_axis(rows: Any, name: str, space: Space) -> None:
    """Raise unless an array of histograms has one axis of rows."""
    if rows.ndim != 2:
        on_device = isinstance(rows, DeviceArray)
        mend = f"{name}.reshape(-1, {space.n})" if on_device else f"numpy.reshape({name}, (-1, {space.n}))"
        raise ValueError(f"{name} has shape {rows.shape}. Needed: (rows, {space.n}), a histogram a row; try {mend}.")


def _sparse_table(x: Any, name: str, space: Space) -> Table:
    from scipy.sparse import csr_array

    if x.ndim != 2 or x.shape[1] != space.n:
        raise ValueError(
            f"{name} is a sparse array of shape {x.shape}. Needed: (rows, {space.n}), as many columns as {space!r} has "
            "bins."
        )
    dtype = np.dtype(x.dtype)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(
            f"{name} is a sparse array of dtype {dtype}. Needed: real numbers; try {name}.astype(numpy.float64)."
        )
    rows = csr_array(x.tocsr(), dtype=np.float64)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    bad = np.flatnonzero(~((rows.data >= 0) & (rows.data < np.inf)))
    if bad.size:
        row = int(np.searchsorted(rows.indptr, bad[0], side="right")) - 1
        column = rows.indices[bad[0]]
        raise ValueError(
            f"{name}[{row}, {column}] is {rows.data[bad[0]]} (row {row}, bin {column}). Needed: finite masses of at "
            "least 0; drop the row, or mend the entry."
        )
    if (rows.data == 0).any():
        rows = rows.copy()
        rows.eliminate_zeros()
    return Table(rows, name, inputs.answer_dtype(dtype))


def check_masses(tables: list[Table], mass: str, n: int) -> None:
    """Apply a mass policy to tables: divide rows by their mass, or raise for the first whose mass differs."""
    if mass == "normalize":
        for table in tables:
            bad_rows.check_mass(table.mass, table.name, "")
            table.scale = 1.0 / table.mass
        return
    if mass == "root" or not len(tables[0]):
        return
    dtype = max((table.dtype for table in tables), key=lambda dtype: inputs.float_limits(dtype)[0])
    tolerance = inputs.tolerance(dtype, dtype, n)
    first = tables[0].mass[0]
    for table in tables:
        off = ~(abs(table.mass - first) <= tolerance * np.maximum(table.mass, first))
        if off.any():
            row = int(np.argmax(off))
            raise ValueError(
                f"{tables[0].name}[0] has mass {first:.9g} and {table.name}[{row}] (row {row}) has mass "
                f"{table.mass[row]:.9g}. Needed: equal masses of all rows, within {tolerance:.2g} of the larger; "
                "mass='normalize' divides each row by its mass, mass='root' sends a surplus to the root."
            )
