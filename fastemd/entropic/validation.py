"""Validation of the arguments of Sinkhorn's functions.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

from ..arrays import bad_rows, device, inputs, placement
from ..arrays.device import AnyArray, DeviceArray
from ..problems import Cost
from ..spaces.base import Space

METHODS = ("auto", "log", "scaling")
MASSES = ("equal", "normalize")
FINEST = 1e-12  # smallest reg over the cost range: below, float64 knows no digit of cost / reg


def cost_of(cost_or_space: Any) -> Cost:
    """Return the cost of a space or matrix; a matrix on a device is validated and converted there."""
    if isinstance(cost_or_space, Space):
        space: Any = cost_or_space
        return Cost(space, None, space.n, space.n, float(space.diameter), 0.0)
    cost = inputs.as_array(cost_or_space, "cost_or_space")
    if cost.dtype.kind not in "iuf" or cost.dtype.itemsize > 8:
        raise TypeError(
            f"cost_or_space has dtype {cost.dtype}. Needed: a Chain, Ring or Tree, or a matrix of real numbers; "
            f"{inputs.dtype_mend(cost_or_space, 'cost_or_space', cost)}."
        )
    if cost.ndim != 2 or cost.size == 0:
        raise ValueError(
            f"cost_or_space has shape {cost.shape}. Needed: a matrix of shape (n, k), the cost of carrying a unit from "
            "bin i of a to bin j of b; one matrix serves the whole batch."
        )
    copy = None
    if isinstance(cost, DeviceArray):
        from ..cuda.entropic import cost_matrix  # numba is loaded when it is first needed

        copy, least, most, bad = cost_matrix.inspect(cost)
        forbids = False
    else:
        cost = cost.astype(np.float64, copy=False)
        least, most, bad, forbids = _inspect(cost)
    if bad is not None:
        i, j, entry = bad
        needed = "finite costs, which may be negative"
        if not isinstance(cost, DeviceArray):
            needed += ", or inf for a pair that is forbidden"
        raise ValueError(f"cost_or_space[{i}, {j}] is {entry}. Needed: {needed}.")
    if not math.isfinite(most - least):
        raise ValueError("cost_or_space spans more than float64 holds. Needed: a finite span; divide it by a constant.")
    return Cost(None, cost, cost.shape[0], cost.shape[1], most - least, least, copy, forbids)


def _inspect(matrix: np.ndarray) -> tuple[float, float, tuple[int, int, float] | None, bool]:
    """Return the least and largest finite cost, the first entry that is no cost with its place, and if some are inf."""
    least, most = float(matrix.min()), float(matrix.max())
    if math.isfinite(least) and math.isfinite(most):
        return least, most, None, False
    bad = ~(matrix > -np.inf)
    if bad.any():
        i, j = bad_rows.first_row(bad)
        return math.nan, math.nan, (i, j, float(matrix[i, j])), False
    finite = matrix < np.inf
    if not finite.any():
        return math.nan, math.nan, (0, 0, math.inf), False
    return least, float(matrix.max(where=finite, initial=-np.inf)), None, True


def check_symmetric(cost: Cost) -> None:
    """Raise unless a histogram can be compared with itself under this cost."""
    if cost.matrix is None:
        return
    if cost.n != cost.k:
        raise ValueError(
            f"cost_or_space has shape {cost.matrix.shape}. Needed for a divergence, which also compares a with a and "
            "b with b: a square matrix; use sinkhorn for bins of two kinds."
        )
    if cost.device_copy is not None:
        from ..cuda.entropic import cost_matrix

        differing = cost_matrix.first_asymmetric(cost.device_copy)
    else:
        differing = _first_asymmetric(cost.matrix)
    if differing is not None:
        i, j, entry, mirrored = differing
        raise ValueError(
            f"cost_or_space[{i}, {j}] is {entry:.9g} and cost_or_space[{j}, {i}] is {mirrored:.9g}. Needed for a "
            "divergence: a symmetric cost; try (cost + cost.T) / 2."
        )


def _first_asymmetric(matrix: np.ndarray) -> tuple[int, int, float, float] | None:
    """Return the place of the first entry that differs from its mirror image, and both."""
    differing = matrix != matrix.T
    if not differing.any():
        return None
    i, j = bad_rows.first_row(differing)
    return i, j, float(matrix[i, j]), float(matrix[j, i])


def histogram(x: Any, name: str, bins: int, axis: str) -> AnyArray:
    """Return `x` as an array (..., bins)."""
    array = inputs.real_array(x, name)
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


def prices(unbalanced: Any) -> tuple[float | None, float | None] | None:
    """Return the prices of marginals that differ from a and from b; None where neither may."""
    if unbalanced is None:
        return None
    if not isinstance(unbalanced, tuple | list):
        price = positive(unbalanced, "unbalanced", "the price of marginals that differ")
        return price, price
    if len(unbalanced) != 2:
        raise ValueError(f"unbalanced has {len(unbalanced)} entries. Needed: one price, or a pair, for a and b.")
    pair = [
        None if price is None else positive(price, f"unbalanced[{i}]", "or None for a marginal that may not differ")
        for i, price in enumerate(unbalanced)
    ]
    return None if pair == [None, None] else (pair[0], pair[1])


def check_on_device(cost: Cost, prices: tuple[float | None, float | None] | None) -> None:
    """Raise for what the backend of devices does not compute."""
    if cost.forbids:
        raise ValueError(
            "cost_or_space holds inf, which forbids a pair, and a lies on a device, where costs are finite. Needed: "
            "histograms in host memory, or finite costs."
        )
    if prices is not None and prices[0] != prices[1]:
        raise ValueError(
            f"unbalanced is {prices}, and a lies on a device, where both marginals have one price. Needed: a number, "
            "or histograms in host memory."
        )


def tolerance(tol: Any) -> float:
    """Return `tol`; -1 for 0, so that no row converges and each makes all of its iterations."""
    if type(tol) is not bool and isinstance(tol, numbers.Real) and tol == 0:
        return -1.0
    if type(tol) is not bool and isinstance(tol, numbers.Real) and tol < 0:
        raise ValueError(f"tol is {tol!r}. Needed: at least 0; 0 makes max_iter iterations, 1e-6 suits float32.")
    return positive(tol, "tol", "a marginal error such as 1e-6")


def strength(reg: Any, cost: Cost) -> float:
    """Return `reg`, if cost / reg can be told apart."""
    number = positive(
        reg, "reg", "the strength of the entropy, in the unit of the cost; try 0.01 to 0.1 of the largest cost"
    )
    if number < FINEST * cost.cost_range:
        raise ValueError(
            f"reg is {number:g} and costs differ by up to {cost.cost_range:g}. Needed: at least {FINEST:g} of that; "
            "the limit of small reg is the exact distance, fastemd.emd."
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


def potentials_pair(
    potentials: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]], like: AnyArray
) -> tuple[AnyArray, AnyArray] | None:
    """Return the potentials to begin with, beside a histogram: in host memory as float64 of the shapes of f and g."""
    if potentials is None:
        return None
    if not isinstance(potentials, tuple | list) or len(potentials) != 2:
        raise TypeError(
            f"potentials is of type {type(potentials).__name__}. Needed: a pair (f, g), such as another result's "
            ".potentials."
        )
    f, g = (_potential(x, f"potentials[{i}]", shapes[i], like) for i, x in enumerate(potentials))
    return f, g


def _potential(x: Any, name: str, shape: tuple[int, ...], like: AnyArray) -> AnyArray:
    array = inputs.as_array(x, name) if isinstance(like, DeviceArray) else inputs.host_array(x, name)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {array.dtype}. Needed: real numbers; {inputs.dtype_mend(x, name, array)}.")
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}. Needed: one that broadcasts to {shape}.")
    if isinstance(array, DeviceArray):
        placement.check_same_device(like, array, ("a", name))
        return array
    check_finite(array, name)
    if isinstance(like, DeviceArray):
        return device.to_device(like, array)
    return np.broadcast_to(array, shape).astype(np.float64)


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise unless all numbers of an array are finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite throughout. Needed: finite numbers; or leave potentials out.")


def check_rows(a: np.ndarray, b: np.ndarray, tolerance: float | None) -> None:
    """Raise ValueError for the first bad row."""
    for x, name in ((a, "a"), (b, "b")):
        bad_rows.check_rows(x, name)
        mass = x.sum(axis=-1, dtype=np.float64)
        empty = np.asarray(~((np.finfo(np.float64).tiny <= mass) & (mass < np.inf)))
        if empty.any():
            row = bad_rows.first_row(empty)
            raise ValueError(
                f"{name}{bad_rows.row_label(row)} has mass {mass[row]:g}. Needed: a positive and finite mass; drop the "
                f"row, or add a little to each bin; {bad_rows.ELSE}."
            )
    if tolerance is None:
        return
    mass_a, mass_b = np.broadcast_arrays(*(x.sum(axis=-1, dtype=np.float64) for x in (a, b)))
    unequal = ~(abs(mass_a - mass_b) <= tolerance * np.maximum(mass_a, mass_b))
    row = bad_rows.first_row(unequal)
    raise ValueError(
        f"a and b have masses {mass_a[row]:.9g} and {mass_b[row]:.9g}{bad_rows.row_label(row)}. Needed: equal masses, "
        f"within {tolerance:.2g} of the larger; mass='normalize' divides each row by its mass, unbalanced=... lets the "
        f"plan's marginals differ from a and b; {bad_rows.ELSE}."
    )


def check_partners(a: np.ndarray, b: np.ndarray, cost: Cost) -> None:
    """Raise ValueError for the first row with a bin whose mass may go nowhere."""
    if not cost.forbids:
        return
    a, b = np.broadcast_arrays(a, b) if cost.n == cost.k else (a, b)
    allowed = (cost.matrix < np.inf).astype(np.float32)
    for x, other, name, other_name, matrix in ((a, b, "a", "b", allowed.T), (b, a, "b", "a", allowed)):
        stuck = (x > 0) & ~((other > 0).astype(np.float32) @ matrix > 0)
        if stuck.any():
            *row, i = bad_rows.first_row(stuck)
            raise ValueError(
                f"{name}[{', '.join(map(str, (*row, i)))}] has mass, and cost_or_space forbids every bin of "
                f"{other_name} that has any. Needed: a finite cost to one of them; or no mass in that bin; "
                f"{bad_rows.ELSE}."
            )
