"""The slow and sure look at the rows of a call, which names the first bad one.

Kernels only mark a bad row, with NaN. Where the caller wants an error instead, the rows are read again, here, in plain
numpy; so the check costs nothing as long as all is well.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .arguments import tolerated
from .space import Space

ELSE = "check=False answers NaN for such rows and goes on"


def check_histograms(a: np.ndarray, b: np.ndarray, space: Space, mass: str, dtype: np.dtype) -> None:
    """Raise ValueError if a row of a or b is no histogram, or if the masses of a pair break the policy."""
    for x, name in ((a, "a"), (b, "b")):
        check_rows(x, name)
    masses = [x.sum(axis=-1, dtype=np.float64) for x in (a, b)]
    if mass == "normalize":
        for x, name in zip(masses, "ab", strict=True):
            check_mass(x, name)
    if mass == "equal":
        mass_a, mass_b = np.broadcast_arrays(*masses)
        tolerance = tolerated(dtype, space.n)
        unequal = ~(abs(mass_a - mass_b) <= tolerance * np.maximum(mass_a, mass_b))
        if unequal.any():
            row = _first(unequal)
            raise ValueError(
                f"a{_named(_own(row, masses[0]))} has mass {mass_a[row]:.9g} and "
                f"b{_named(_own(row, masses[1]))} has mass {mass_b[row]:.9g}. "
                f"Needed: equal masses, within {tolerance:.2g} of the larger; mass='normalize' divides each row by its "
                "mass" + ("" if space.kind == "ring" else ", mass='root' sends a surplus to the root") + f"; {ELSE}."
            )


def check_rows(x: np.ndarray, name: str) -> None:
    """Raise ValueError if a row holds NaN, an infinity or a negative mass."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        _refuse(x, ~np.isfinite(x), name, "finite masses", f"drop the row, or try numpy.nan_to_num({name})")
    if x.dtype.kind != "u" and (x < 0).any():
        _refuse(x, x < 0, name, "masses of at least 0", f"try {name}.clip(0)")


def check_mass(mass: np.ndarray, name: str) -> None:
    """Raise ValueError if a row cannot be divided by its mass."""
    none = np.asarray(~((np.finfo(np.float64).tiny <= mass) & (mass < np.inf)))
    if none.any():
        row = _first(none)
        raise ValueError(
            f"{name}{_named(row)} has mass {mass[row]:g}, by which mass='normalize' cannot divide. Needed: a mass of "
            f"at least {np.finfo(np.float64).tiny:.1g}, and finite; drop the row, or add a little to each bin; {ELSE}."
        )


def check_logits(logits: np.ndarray, target: np.ndarray, space: Space, mass: str, dtype: np.dtype) -> None:
    """Raise ValueError if logits have no softmax, or a target is neither a class nor a histogram of mass 1."""
    bad = np.isnan(logits) | np.isposinf(logits)
    if bad.any():
        _refuse(logits, bad, "logits", "numbers below infinity", "train with a smaller step, or clip them")
    empty = np.isneginf(logits).all(axis=-1)
    if empty.any():
        raise ValueError(f"logits{_named(_first(empty))} is -inf throughout. Needed: a finite logit a row; {ELSE}.")
    if target.dtype.kind in "iu":
        outside = (target < 0) | (target >= space.n)
        if outside.any():
            row = _first(outside)
            raise ValueError(
                f"target{_named(row)} is class {target[row]}. Needed: 0..{space.n - 1}, the bins of {space!r}; "
                f"mask or drop such rows; {ELSE}."
            )
        return
    check_rows(target, "target")
    masses = target.sum(axis=-1, dtype=np.float64)
    if mass == "normalize":
        check_mass(masses, "target")
        return
    tolerance = tolerated(dtype, space.n)
    off = ~(abs(masses - 1.0) <= tolerance)
    if off.any():
        row = _first(off)
        raise ValueError(
            f"target{_named(row)} has mass {masses[row]:.9g}. Needed: mass 1, the softmax's, within {tolerance:.2g}; "
            f"mass='normalize' divides each target by its mass; {ELSE}."
        )


def refuse_the_rest(values: np.ndarray) -> NoReturn:
    """Raise ValueError for a row that has no answer although no check above objects."""
    row = _first(np.isnan(values))
    raise ValueError(
        f"The answer{_named(row)} is not a number, though every bin is finite: masses overflow float64, or differ by "
        f"just the tolerance. Needed: smaller masses, or equal ones; divide both histograms by a constant; {ELSE}."
    )


def _refuse(x: np.ndarray, bad: np.ndarray, name: str, needed: str, mend: str) -> NoReturn:
    *row, column = _first(bad)
    place = ", ".join(map(str, (*row, column)))
    where = f"row {row[0] if len(row) == 1 else tuple(row)}, bin {column}" if row else f"bin {column}"
    raise ValueError(f"{name}[{place}] is {x[(*row, column)]} ({where}). Needed: {needed}; {mend}; {ELSE}.")


def _first(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.argmax(where), where.shape))


def _own(row: tuple[int, ...], x: np.ndarray) -> tuple[int, ...]:
    """Return which entry of x broadcasting takes to that row."""
    last = row[len(row) - x.ndim :]
    return tuple(i if size > 1 else 0 for i, size in zip(last, x.shape, strict=True))


def _named(row: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, row))}] (row {row[0] if len(row) == 1 else row})" if row else ""
