"""What users hand in with a call of Sinkhorn's functions, and the text of every error about it."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from . import arguments, device, device_arguments, validation, verdicts
from .device import DeviceArray
from .device_arguments import AnyArray
from .space import Space

METHODS = ("auto", "log", "scaling")
MASSES = ("equal", "normalize")
FINEST = 1e-12  # smallest reg beside the largest cost: below, float64 knows no digit of cost / reg any more


class Ground(NamedTuple):
    """What it costs to carry mass: a space, or a matrix of float64; and how many bins there are on either side."""

    space: Space | None
    matrix: np.ndarray | None
    n: int
    k: int
    spread: float  # largest cost less the smallest
    least: float
    lies: DeviceArray | None = None  # the cost as it was handed in, where that was on a device


def ground(cost_or_space: Any) -> Ground:
    """Return what `cost_or_space` says."""
    if isinstance(cost_or_space, Space):
        space: Any = cost_or_space
        return Ground(space, None, space.n, space.n, float(space.diameter), 0.0)
    found = arguments.anywhere(cost_or_space, "cost_or_space")
    lies = found if isinstance(found, DeviceArray) else None
    cost = device.to_host(found)
    if cost.dtype.kind not in "iuf" or cost.dtype.itemsize > 8:
        raise TypeError(
            f"cost_or_space has dtype {cost.dtype}. Needed: a Chain, Ring or Tree, or a matrix of real numbers; try "
            "cost.astype(numpy.float64)."
        )
    if cost.ndim != 2 or cost.size == 0:
        raise ValueError(
            f"cost_or_space has shape {cost.shape}. Needed: a matrix of shape (n, k), the cost of carrying a unit from "
            "bin i of a to bin j of b; one matrix serves the whole batch."
        )
    matrix = cost.astype(np.float64)
    bad = ~np.isfinite(matrix)
    if bad.any():
        i, j = (int(x) for x in np.unravel_index(np.argmax(bad), bad.shape))
        raise ValueError(
            f"cost_or_space[{i}, {j}] is {matrix[i, j]}. Needed: finite costs, which may be negative; forbid a pair by "
            "a cost larger than all others together."
        )
    least, most = float(matrix.min()), float(matrix.max())
    if not math.isfinite(most - least):
        raise ValueError("cost_or_space spans more than float64 holds. Needed: a finite span; divide it by a constant.")
    return Ground(None, matrix, matrix.shape[0], matrix.shape[1], most - least, least, lies)


def symmetric(found: Ground) -> None:
    """Raise unless a histogram can be compared with itself under this cost."""
    if found.matrix is None:
        return
    if found.n != found.k:
        raise ValueError(
            f"cost_or_space has shape {found.matrix.shape}. Needed for a divergence, which also compares a with a and "
            "b with b: a square matrix; use sinkhorn for bins of two kinds."
        )
    off = found.matrix != found.matrix.T
    if off.any():
        i, j = (int(x) for x in np.unravel_index(np.argmax(off), off.shape))
        raise ValueError(
            f"cost_or_space[{i}, {j}] is {found.matrix[i, j]:.9g} and cost_or_space[{j}, {i}] is "
            f"{found.matrix[j, i]:.9g}. Needed for a divergence: a symmetric cost; try (cost + cost.T) / 2."
        )


def histogram(x: Any, name: str, bins: int, axis: str) -> AnyArray:
    """Return `x` as an array (..., bins)."""
    array = arguments.anywhere(x, name)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name} has dtype {array.dtype}. Needed: float16, float32, float64 or integers; "
            f"try {device_arguments.converted(name, array, 'float64')}."
        )
    if array.ndim == 0 or array.shape[-1] != bins:
        raise ValueError(
            f"{name} has shape {array.shape}. Needed: {bins} bins in its last axis, as many as cost_or_space has "
            f"{axis}; bins go last, rows first."
        )
    return array


def positive(x: Any, name: str, means: str) -> float:
    """Return a finite positive number."""
    try:
        if isinstance(x, str | bytes | bool | np.bool_):
            raise TypeError
        number = float(x)
    except TypeError:
        raise TypeError(f"{name} is {x!r}. Needed: a number above 0, {means}.") from None
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name} is {x!r}. Needed: a finite number above 0, {means}.")
    return number


def strength(reg: Any, found: Ground) -> float:
    """Return `reg`, if cost / reg can be told apart."""
    number = positive(
        reg, "reg", "the strength of the entropy, in the unit of the cost; try 0.01 to 0.1 of the largest cost"
    )
    if number < FINEST * found.spread:
        raise ValueError(
            f"reg is {number:g} and costs differ by up to {found.spread:g}. Needed: at least {FINEST:g} of that; the "
            "limit of small reg is the exact distance, fastemd.emd."
        )
    return number


def iterations(max_iter: Any) -> int:
    """Return `max_iter` as an int of at least 0."""
    try:
        if isinstance(max_iter, bool):
            raise TypeError
        number = operator.index(max_iter)
    except TypeError:
        raise TypeError(f"max_iter is {max_iter!r}. Needed: a whole number of iterations, such as 10_000.") from None
    if number < 0:
        raise ValueError(f"max_iter is {number}. Needed: at least 0 iterations.")
    return number


def scaling_factor(epsilon_scaling: Any) -> float:
    """Return the factor by which reg falls from stage to stage; 0 for a single stage."""
    if isinstance(epsilon_scaling, bool | np.bool_):
        return 0.5 if epsilon_scaling else 0.0
    number = positive(epsilon_scaling, "epsilon_scaling", "below 1, by which reg falls; or True for 0.5, or False")
    if number >= 1.0:
        raise ValueError(
            f"epsilon_scaling is {number:g}. Needed: a factor below 1, by which reg falls; True stands for 0.5."
        )
    return number


def method_of(method: Any) -> str:
    """Return `method`, if it is one."""
    return validation.one_of(method, METHODS, "method")


def policy_of(mass: Any) -> str:
    """Return `mass`, if it is a policy that a plan can keep."""
    return validation.one_of(mass, MASSES, "mass")


def warm(potentials: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the potentials to begin with, broadcast to the shapes of f and g."""
    if potentials is None:
        return None
    f, g = (
        np.broadcast_to(_start(arguments.array_of(z, f"potentials[{i}]"), i, shape), shape).astype(np.float64)
        for i, (z, shape) in enumerate(zip(_pair(potentials), shapes, strict=True))
    )
    return f, g


def warm_on_device(
    potentials: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]], like: DeviceArray
) -> tuple[DeviceArray, DeviceArray] | None:
    """Return the potentials to begin with beside a histogram on a device; those in host memory are sent there."""
    if potentials is None:
        return None
    pair = []
    for i, (z, shape) in enumerate(zip(_pair(potentials), shapes, strict=True)):
        z = _start(z, i, shape)
        if isinstance(z, DeviceArray):
            device_arguments.together(like, z, ("a", f"potentials[{i}]"))
        pair.append(z if isinstance(z, DeviceArray) else device.sent(like, z))
    return pair[0], pair[1]


def _pair(potentials: Any) -> Any:
    if not isinstance(potentials, tuple | list) or len(potentials) != 2:
        raise TypeError(
            f"potentials is of type {type(potentials).__name__}. Needed: a pair (f, g), such as another result's "
            ".potentials."
        )
    return potentials


def _start(z: Any, i: int, shape: tuple[int, ...]) -> Any:
    """Return one of the potentials as an array of real numbers that broadcasts to a shape, finite if it can be seen."""
    name = f"potentials[{i}]"
    array: Any = arguments.anywhere(z, name)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {array.dtype}. Needed: real numbers.")
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}. Needed: one that broadcasts to {shape}.")
    if not isinstance(array, DeviceArray):
        finite(array, name)
    return array


def finite(array: np.ndarray, name: str) -> None:
    """Raise unless all numbers of an array are finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite throughout. Needed: finite numbers; or leave potentials out.")


def good_rows(a: np.ndarray, b: np.ndarray, tolerance: float | None) -> np.ndarray:
    """Which rows (...) have finite masses, not negative, not all 0 and, unless `tolerance` is None, equal."""
    masses = []
    good: Any = True
    for x in (a, b):
        mass = x.sum(axis=-1, dtype=np.float64)
        good = good & (x >= 0).all(axis=-1) & (np.finfo(np.float64).tiny <= mass) & (mass < np.inf)
        masses.append(mass)
    if tolerance is not None:
        with np.errstate(invalid="ignore"):
            good = good & (abs(masses[0] - masses[1]) <= tolerance * np.maximum(*masses))
    return np.asarray(good)


def refuse(a: np.ndarray, b: np.ndarray, tolerance: float | None) -> None:
    """Raise ValueError for the first bad row."""
    for x, name in ((a, "a"), (b, "b")):
        verdicts.check_rows(x, name)
        mass = x.sum(axis=-1, dtype=np.float64)
        empty = np.asarray(~((np.finfo(np.float64).tiny <= mass) & (mass < np.inf)))
        if empty.any():
            row = _first(empty)
            raise ValueError(
                f"{name}{_named(row)} has mass {mass[row]:g}. Needed: a positive and finite mass; drop the row, or add "
                f"a little to each bin; {verdicts.ELSE}."
            )
    if tolerance is None:
        return
    mass_a, mass_b = np.broadcast_arrays(*(x.sum(axis=-1, dtype=np.float64) for x in (a, b)))
    unequal = ~(abs(mass_a - mass_b) <= tolerance * np.maximum(mass_a, mass_b))
    row = _first(unequal)
    raise ValueError(
        f"a and b have masses {mass_a[row]:.9g} and {mass_b[row]:.9g}{_named(row)}. Needed: equal masses, within "
        f"{tolerance:.2g} of the larger; mass='normalize' divides each row by its mass, unbalanced=... lets the plan's "
        f"marginals differ from a and b; {verdicts.ELSE}."
    )


def _first(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.argmax(where), where.shape))


def _named(row: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, row))}] (row {row[0] if len(row) == 1 else row})" if row else ""
