"""`emd` of sparse rows, which are never made dense."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..arrays import inputs
from ..arrays.bad_rows import ELSE, check_mass, raise_unexplained
from ..arrays.callers import caller_of
from ..arrays.device import DeviceArray
from ..arrays.placement import host_memory_error
from ..arrays.sparse import is_sparse, to_scipy
from ..formulas.mass import SMALLEST_MASS
from ..spaces.base import Space
from . import bad_rows, validation


def sparse_emd(a: Any, b: Any, space: Any, rho: Any, mass: Any, empty: Any, check: bool) -> Any:
    """Return the values of pairs of rows, of which one array at least is sparse."""
    space, rho, mass = validation.options(space, rho, mass)
    (x, dtype), (y, other) = _rows(a, "a", space), _rows(b, "b", space)
    empty = "raise" if empty == "raise" else validation.empty_policy(empty, x)
    counts = x.shape[0], y.shape[0]
    if counts[0] != counts[1] and 1 not in counts:
        raise ValueError(
            f"a has {counts[0]} rows and b has {counts[1]}. Needed: as many, or one; fastemd.pairwise compares all "
            "rows with all."
        )
    rows = counts[1] if counts[0] == 1 else counts[0]
    masses = [np.asarray(part.sum(axis=1)).ravel() for part in (x, y)]
    tolerance = inputs.tolerance(dtype, other, space.n)
    if check:
        _check(x, y, masses, mass, tolerance, empty, rows)
    values = np.zeros(rows)
    bad = _bad(x, y, masses, mass, tolerance, rows)
    if rows:
        _solve(x, y, masses, space, rho, mass, values)
    with np.errstate(over="ignore", under="ignore"):
        found = np.where(bad, np.nan, values).astype(inputs.promoted(dtype, other))
    none = np.broadcast_to(masses[0] == 0, rows) | np.broadcast_to(masses[1] == 0, rows)
    if empty == "zero":
        found[none & bad] = 0.0
    unexplained = np.isnan(found) & ~(none & (empty == "nan"))
    if check and unexplained.any():
        raise_unexplained(np.where(unexplained, np.nan, 0.0))
    found = found if any(len(np.shape(each)) > 1 for each in (a, b)) else found[0]
    caller = caller_of(found, a, b)
    return found if caller is None else caller(found, -1)


def _rows(x: Any, name: str, space: Space) -> tuple[Any, Any]:
    """Return rows as a csr array of float64, columns ascending, and the dtype that they had."""
    from scipy.sparse import csr_array

    if is_sparse(x):
        x = to_scipy(x)
        if x.shape[-1] != space.n or x.ndim > 2:
            raise ValueError(
                f"{name} is a sparse array of shape {x.shape}. Needed: (rows, {space.n}), as many columns as "
                f"{space!r} has bins."
            )
        dtype = np.dtype(x.dtype)
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise TypeError(
                f"{name} is a sparse array of dtype {dtype}. Needed: real numbers; try {name}.astype(numpy.float64)."
            )
        rows = csr_array((x if x.ndim == 2 else x.reshape(1, -1)).tocsr(), dtype=np.float64)
    else:
        dense = inputs.histograms(x, name, space)
        if isinstance(dense, DeviceArray):
            raise host_memory_error(dense, name, "sparse rows are compared there")
        dense = bad_rows.readable(dense)
        if dense.ndim > 2:
            raise ValueError(
                f"{name} has shape {dense.shape}, beside sparse rows. Needed: (rows, {space.n}); try "
                f"numpy.reshape({name}, (-1, {space.n}))."
            )
        dtype = inputs.answer_dtype(dense.dtype)
        rows = csr_array(np.atleast_2d(dense).astype(np.float64))
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows, dtype


def _check(x: Any, y: Any, masses: list[np.ndarray], mass: str, tolerance: float, empty: str, rows: int) -> None:
    """Raise ValueError for the first bad row."""
    for part, name in ((x, "a"), (y, "b")):
        bad = np.flatnonzero(~((part.data >= 0) & (part.data < np.inf)))
        if bad.size:
            row = int(np.searchsorted(part.indptr, bad[0], side="right")) - 1
            column = part.indices[bad[0]]
            raise ValueError(
                f"{name}[{row}, {column}] is {part.data[bad[0]]} (row {row}, bin {column}). Needed: finite masses of "
                f"at least 0; drop the row, or mend the entry; {ELSE}."
            )
    if mass == "normalize":
        for each, name in zip(masses, "ab", strict=True):
            check_mass(np.where(each == 0, 1.0, each) if empty != "raise" else each, name)
    if mass == "equal":
        one, other = (np.broadcast_to(each, rows) for each in masses)
        unequal = ~(abs(one - other) <= tolerance * np.maximum(one, other))
        if empty != "raise":
            unequal &= (one > 0) & (other > 0)
        if unequal.any():
            row = int(np.argmax(unequal))
            raise ValueError(
                f"row {row} of a has mass {one[row]:.9g} and that of b has mass {other[row]:.9g}. Needed: equal "
                f"masses, within {tolerance:.2g} of the larger; mass='normalize' divides each row by its mass; {ELSE}."
            )


def _bad(x: Any, y: Any, masses: list[np.ndarray], mass: str, tolerance: float, rows: int) -> np.ndarray:
    """Return which pairs have no answer."""
    found = np.zeros(rows, bool)
    for part, each in zip((x, y), masses, strict=True):
        wrong = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))[~((part.data >= 0) & (part.data < np.inf))]
        bad = np.zeros(part.shape[0], bool)
        bad[wrong] = True
        if mass == "normalize":
            bad |= ~((each >= SMALLEST_MASS) & (each < np.inf))
        found |= np.broadcast_to(bad, rows)
    if mass == "equal":
        one, other = (np.broadcast_to(each, rows) for each in masses)
        with np.errstate(invalid="ignore"):
            found |= ~(abs(one - other) <= tolerance * np.maximum(one, other))
    return found


def _solve(x: Any, y: Any, masses: list[np.ndarray], space: Any, rho: float, mass: str, values: np.ndarray) -> None:
    from ..cpu.exact import sparse

    tables = []
    for part, each in zip((x, y), masses, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 1.0 / each if mass == "normalize" else np.ones(len(each))
        tables.append((part.indptr.astype(np.int64), part.indices.astype(np.int64), part.data, scale))
    steps = (int(x.shape[0] > 1), int(y.shape[0] > 1))
    sparse.solve(space.kind, *tables, steps, _arrays(space), float(rho), values)


@functools.lru_cache(maxsize=16)
def _arrays(space: Any) -> tuple[np.ndarray, ...]:
    """Return what the kernel of a space reads."""
    if space.kind == "tree":
        up, length, place, _ = space.arrays
        return up.astype(np.int64), np.array(length), place.astype(np.int64)
    if space.kind == "ring":
        return (np.array([0.0, *map(float, np.cumsum(space.lengths))]),)
    return (np.array(space.positions - space.positions[0], np.float64),)
