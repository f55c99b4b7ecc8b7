"""Checks of the rows of histograms, logits and targets, which name the first bad one."""

from __future__ import annotations

import numpy as np

from ..arrays.bad_rows import (
    ELSE,
    check_mass,
    check_rows,
    first_row,
    raise_first,
    raise_unexplained,
    readable,
    row_label,
    source_row,
)
from ..spaces.base import Space

__all__ = ["check_histograms", "check_logits", "raise_unexplained", "readable"]


def is_empty(x: np.ndarray) -> np.ndarray:
    """Return which rows (...) hold nothing but 0."""
    return np.asarray((x == 0).all(axis=-1))


def check_histograms(
    a: np.ndarray, b: np.ndarray, space: Space, mass: str, tolerance: float, allow_empty: bool = False
) -> None:
    """Raise ValueError if a row of a or b is no histogram, or if the masses of a pair break the policy."""
    for x, name in ((a, "a"), (b, "b")):
        check_rows(x, name)
    masses = [x.sum(axis=-1, dtype=np.float64) for x in (a, b)]
    if mass == "normalize":
        for x, sums, name in zip((a, b), masses, "ab", strict=True):
            check_mass(np.where(is_empty(x), 1.0, sums) if allow_empty else sums, name)
    if mass == "equal":
        mass_a, mass_b = np.broadcast_arrays(*masses)
        unequal = ~(abs(mass_a - mass_b) <= tolerance * np.maximum(mass_a, mass_b))
        if allow_empty:
            unequal &= ~(is_empty(a) | is_empty(b))
        if unequal.any():
            row = first_row(unequal)
            mend = "mass='normalize' divides each row by its mass"
            if 0.0 in (mass_a[row], mass_b[row]):
                mend = "drop the row, or fill a bin"
            raise ValueError(
                f"a{row_label(source_row(row, masses[0]))} has mass {mass_a[row]:.9g} and "
                f"b{row_label(source_row(row, masses[1]))} has mass {mass_b[row]:.9g}. "
                f"Needed: equal masses, within {tolerance:.2g} of the larger; {mend}"
                + ("" if space.kind == "ring" else ", mass='root' sends a surplus to the root")
                + f"; {ELSE}."
            )


def check_logits(logits: np.ndarray, target: np.ndarray, space: Space, mass: str, tolerance: float) -> None:
    """Raise ValueError if logits have no softmax, or a target is neither a class nor a histogram of mass 1."""
    bad = np.isnan(logits) | np.isposinf(logits)
    if bad.any():
        raise_first(logits, bad, "logits", "numbers below infinity", "train with a smaller step, or clip them")
    empty = np.isneginf(logits).all(axis=-1)
    if empty.any():
        raise ValueError(
            f"logits{row_label(first_row(empty))} is -inf throughout. Needed: a finite logit a row; {ELSE}."
        )
    if target.dtype.kind in "iu":
        outside = (target < 0) | (target >= space.n)
        if outside.any():
            row = first_row(outside)
            raise ValueError(
                f"target{row_label(row)} is class {target[row]}. Needed: 0..{space.n - 1}, the bins of {space!r}; "
                f"mask or drop such rows; {ELSE}."
            )
        return
    check_rows(target, "target")
    masses = target.sum(axis=-1, dtype=np.float64)
    if mass == "normalize":
        check_mass(masses, "target")
        return
    off = ~(abs(masses - 1.0) <= tolerance)
    if off.any():
        row = first_row(off)
        mend = "mass='normalize' divides each target by its mass" if masses[row] else "drop the row, or fill a bin"
        raise ValueError(
            f"target{row_label(row)} has mass {masses[row]:.9g}. Needed: mass 1, the softmax's, within "
            f"{tolerance:.2g}; {mend}; {ELSE}."
        )
