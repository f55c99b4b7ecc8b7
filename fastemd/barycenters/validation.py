"""Validation of the arguments of a barycentre, and of its rows, of which the first bad one is named.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import inputs
from ..arrays.bad_rows import ELSE, check_mass, check_rows, first_row, readable, row_label
from ..arrays.device import DeviceArray
from ..arrays.placement import host_memory_error
from ..exact.validation import exponent
from ..formulas.mass import SMALLEST_MASS
from ..spaces.base import Space


def median_or_mean(rho: Any) -> float:
    """Return `rho`, if barycentres are exact for it."""
    found = exponent(rho)
    if found not in (1.0, 2.0):
        raise ValueError(
            f"rho is {rho}. Needed: 1 (medians of flows) or 2 (means of flows), for which a barycentre is exact; for "
            "another rho, minimise the mean of fastemd.emd_value_and_grad(A, x, space, rho=rho, wrt='b') over x."
        )
    return found


def tables(A: Any, space: Space) -> np.ndarray:
    """Return `A` as an array (..., N, n) with at least one row."""
    rows = inputs.histograms(A, "A", space)
    if isinstance(rows, DeviceArray):
        raise host_memory_error(rows, "A", "barycentres are computed by the processor")
    if rows.ndim == 1:
        raise ValueError(f"A has shape {rows.shape}: one histogram. Needed: several, of shape (N, {space.n}); try [A].")
    if rows.shape[-2] == 0:
        raise ValueError(f"A has shape {rows.shape}: no rows. Needed: at least one histogram.")
    return readable(rows)


def shares(weights: Any, count: int) -> np.ndarray:
    """Return the weights of the rows, divided by their sum."""
    if weights is None:
        return np.full(count, 1.0 / count)
    array = inputs.real_array(inputs.host_array(weights, "weights"), "weights")
    if array.shape != (count,):
        raise ValueError(f"weights has shape {array.shape}. Needed: ({count},), a weight for each row of A.")
    found = np.asarray(array, np.float64)
    bad = ~(np.isfinite(found) & (found >= 0.0))
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"weights[{i}] is {array[i]}. Needed: finite weights of at least 0; drop row {i} of A, too.")
    total = found.sum()
    if not 0.0 < total < np.inf:
        raise ValueError(f"weights have the sum {total:g}. Needed: a finite sum above 0, by which they are divided.")
    return found / total


def good_tables(rows: np.ndarray, mass: str, tolerance: float) -> np.ndarray:
    """Return which tables (...) consist of histograms that keep the mass policy."""
    masses = rows.sum(axis=-1, dtype=np.float64)
    good: Any = (rows >= 0).all(axis=-1) & (masses < np.inf)
    if mass == "normalize":
        good &= masses >= SMALLEST_MASS
    else:
        with np.errstate(invalid="ignore"):
            good &= _agree(masses, tolerance)
    return np.asarray(good.all(axis=-1))


def check_tables(rows: np.ndarray, mass: str, tolerance: float) -> None:
    """Raise ValueError for the first row that is no histogram, or breaks the mass policy."""
    check_rows(rows, "A")
    masses = rows.sum(axis=-1, dtype=np.float64)
    if mass == "normalize":
        check_mass(masses, "A")
        return
    unequal = ~_agree(masses, tolerance)
    if unequal.any():
        row = first_row(unequal)
        first = (*row[:-1], 0)
        raise ValueError(
            f"A{row_label(row)} has mass {masses[row]:.9g} and A{row_label(first)} has mass {masses[first]:.9g}. "
            f"Needed: equal masses, within {tolerance:.2g} of the larger; mass='normalize' divides each row by its "
            f"mass; {ELSE}."
        )


def _agree(masses: np.ndarray, tolerance: float) -> np.ndarray:
    """Return which rows have the mass of the first row of their table."""
    first = masses[..., :1]
    return np.asarray(abs(masses - first) <= tolerance * np.maximum(masses, first))
