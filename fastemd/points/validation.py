"""Validation of samples and of trees over points.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import inputs
from ..arrays.bad_rows import ELSE, check_mass, check_rows, first_row, raise_first, readable, row_label, source_row
from ..arrays.device import DeviceArray
from ..arrays.placement import host_memory_error
from ..formulas.mass import SMALLEST_MASS
from ..spaces.base import Space

NAMES = ("x", "y", "wx", "wy")


def circle(period: Any) -> float:
    """Return the length of the circle, 0 for a line."""
    if period is None:
        return 0.0
    try:
        if isinstance(period, str | bytes):
            raise TypeError
        found = float(period)
    except TypeError:
        raise TypeError(f"period is {period!r}. Needed: a number above 0, or None for a line.") from None
    if not 0.0 < found < math.inf:
        raise ValueError(f"period is {period}. Needed: a finite number above 0, or None for a line.")
    return found


def samples(x: Any, y: Any, wx: Any, wy: Any) -> tuple[list[np.ndarray], tuple[int, ...], Any, float]:
    """Return positions and weights as arrays, their batch shape, the dtype of the answer, and the masses' tolerance."""
    places = [_samples(each, name) for each, name in zip((x, y), NAMES, strict=False)]
    weights = []
    for given, place, name in zip((wx, wy), places, NAMES[2:], strict=True):
        n = place.shape[-1]
        if given is None:
            weights.append(np.full(n, 1.0 / n))
            continue
        found = _samples(given, name)
        if found.shape[-1] != n:
            raise ValueError(
                f"{name} has shape {found.shape} and {name[1]} has shape {place.shape}. Needed: a weight for each "
                f"sample, {n} in the last axis."
            )
        weights.append(found)
    rows = [*places, *weights]
    given = [row for row, each in zip(rows, (x, y, wx, wy), strict=True) if each is not None]
    dtype = given[0].dtype
    for row in given[1:]:
        dtype = inputs.promoted(dtype, row.dtype)
    try:
        batch = np.broadcast_shapes(*(row.shape[:-1] for row in rows))
    except ValueError:
        shown = ", ".join(f"{name} has {row.shape[:-1]}" for row, name in zip(rows, NAMES, strict=True))
        raise ValueError(
            f"Leading axes have no common batch shape: {shown}. Needed: equal sizes, or 1, axis by axis from the right."
        ) from None
    n = max(places[0].shape[-1], places[1].shape[-1])
    return rows, batch, inputs.answer_dtype(dtype), inputs.tolerance(weights[0].dtype, weights[1].dtype, n)


def _samples(x: Any, name: str) -> np.ndarray:
    array = inputs.real_array(x, name)
    if isinstance(array, DeviceArray):
        raise host_memory_error(array, name, "samples are sorted by the processor")
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} has shape {array.shape}. Needed: (..., n) with at least one sample in the last axis.")
    return readable(array)


def good_samples(rows: list[np.ndarray], mass: str, tolerance: float) -> np.ndarray:
    """Return which rows have finite positions, and weights that keep the mass policy."""
    x, y, wx, wy = rows
    good: Any = np.isfinite(x).all(axis=-1) & np.isfinite(y).all(axis=-1)
    masses = [w.sum(axis=-1, dtype=np.float64) for w in (wx, wy)]
    for w, total in zip((wx, wy), masses, strict=True):
        good = good & (w >= 0).all(axis=-1) & (total < np.inf)
        if mass == "normalize":
            good = good & (total >= SMALLEST_MASS)
    if mass == "equal":
        with np.errstate(invalid="ignore"):
            good = good & (abs(masses[0] - masses[1]) <= tolerance * np.maximum(*masses))
    return np.asarray(good)


def check_samples(rows: list[np.ndarray], mass: str, tolerance: float) -> None:
    """Raise ValueError for the first row without finite positions, or whose weights break the mass policy."""
    for row, name in zip(rows[:2], NAMES, strict=False):
        if not np.isfinite(row).all():
            raise_first(row, ~np.isfinite(row), name, "finite positions", "drop the sample, or give it a position")
    masses = []
    for row, name in zip(rows[2:], NAMES[2:], strict=True):
        check_rows(row, name)
        masses.append(row.sum(axis=-1, dtype=np.float64))
        if mass == "normalize":
            check_mass(masses[-1], name)
    if mass == "normalize":
        return
    mass_x, mass_y = np.broadcast_arrays(*masses)
    unequal = ~(abs(mass_x - mass_y) <= tolerance * np.maximum(mass_x, mass_y))
    if unequal.any():
        pair = first_row(unequal)
        raise ValueError(
            f"wx{row_label(source_row(pair, masses[0]))} has mass {mass_x[pair]:.9g} and "
            f"wy{row_label(source_row(pair, masses[1]))} has mass {mass_y[pair]:.9g}. Needed: equal masses, within "
            f"{tolerance:.2g} of the larger; mass='normalize' divides each row by its mass; {ELSE}."
        )


def tree_list(trees: Any) -> list[Space]:
    """Return `trees` as a list of spaces with as many bins each."""
    if isinstance(trees, Space):
        raise TypeError("trees is one space. Needed: a sequence of them; try [trees], or fastemd.emd.")
    try:
        found = list(trees)
    except TypeError:
        raise TypeError(f"trees is of type {type(trees).__name__}. Needed: a sequence of fastemd.Tree.") from None
    if not found:
        raise ValueError("trees is empty. Needed: at least one tree; make them with fastemd.Tree.from_points.")
    for i, tree in enumerate(found):
        if not isinstance(tree, Space):
            raise TypeError(f"trees[{i}] is of type {type(tree).__name__}. Needed: a fastemd.Tree.")
        if tree.n != found[0].n:
            raise ValueError(f"trees[{i}] has {tree.n} bins and trees[0] has {found[0].n}. Needed: the same points.")
    return found
