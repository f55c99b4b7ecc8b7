"""Checks of the rows of a call in plain numpy, which name the first bad one.

Kernels mark a bad row with NaN. Under ``check=True`` the rows are then read again here, so a valid call never pays.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..formulas.mass import SMALLEST_MASS

ELSE = "check=False answers NaN for such rows and goes on"
CHECKED = f"; {ELSE}"  # the end of an error text, where the function takes check=


def readable(x: np.ndarray) -> np.ndarray:
    """Return rows of bfloat16, which few functions of numpy read, as float32."""
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def check_rows(x: np.ndarray, name: str, end: str = CHECKED) -> None:
    """Raise ValueError if a row holds NaN, an infinity or a negative mass; `end` ends the text."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        mend = f"drop the row, or try numpy.nan_to_num(numpy.asarray({name}))"
        raise_first(x, ~np.isfinite(x), name, "finite masses", mend, end)
    if x.dtype.kind != "u" and (x < 0).any():
        raise_first(x, x < 0, name, "masses of at least 0", f"try numpy.maximum(numpy.asarray({name}), 0)", end)


def check_mass(mass: np.ndarray, name: str, end: str = CHECKED) -> None:
    """Raise ValueError if a row cannot be divided by its mass; `end` ends the text."""
    none = np.asarray(~((mass >= SMALLEST_MASS) & (mass < np.inf)))
    if none.any():
        row = first_row(none)
        raise ValueError(
            f"{name}{row_label(row)} has mass {mass[row]:g}, by which mass='normalize' cannot divide. Needed: a mass "
            f"of at least {SMALLEST_MASS:.1g}, and finite; drop the row, or add a little to each bin{end}."
        )


def good_rows(a: np.ndarray, b: np.ndarray, tolerance: float | None) -> np.ndarray:
    """Which rows (...) have finite masses, not negative, not all 0 and, unless `tolerance` is None, equal."""
    masses = []
    good: Any = True
    for x in (a, b):
        mass = x.sum(axis=-1, dtype=np.float64)
        good = good & (x >= 0).all(axis=-1) & (mass >= SMALLEST_MASS) & (mass < np.inf)
        masses.append(mass)
    if tolerance is not None:
        with np.errstate(invalid="ignore"):
            good = good & (abs(masses[0] - masses[1]) <= tolerance * np.maximum(*masses))
    return np.asarray(good)


def has_partners(a: np.ndarray, b: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Which pairs (...) have, for each bin with mass, a bin with mass to which the cost is finite."""
    allowed = (cost < np.inf).astype(np.float32)
    full_a, full_b = a > 0, b > 0
    reached_a = full_b.astype(np.float32) @ allowed.T > 0
    reached_b = full_a.astype(np.float32) @ allowed > 0
    return np.asarray((reached_a | ~full_a).all(axis=-1) & (reached_b | ~full_b).all(axis=-1))


def raise_unexplained(values: np.ndarray, end: str = CHECKED) -> NoReturn:
    """Raise ValueError for a row that has no answer although no check above objects."""
    row = first_row(np.isnan(values))
    raise ValueError(
        f"The answer{row_label(row)} is not a number, though every bin is finite: masses overflow float64, or differ "
        f"by just the tolerance. Needed: smaller masses, or equal ones; divide both histograms by a constant{end}."
    )


def raise_first(x: np.ndarray, bad: np.ndarray, name: str, needed: str, mend: str, end: str = CHECKED) -> NoReturn:
    """Raise ValueError for the first bad entry of an array."""
    *row, column = first_row(bad)
    index = ", ".join(map(str, (*row, column)))
    where = f"row {row[0] if len(row) == 1 else tuple(row)}, bin {column}" if row else f"bin {column}"
    raise ValueError(f"{name}[{index}] is {x[(*row, column)]} ({where}). Needed: {needed}; {mend}{end}.")


def first_row(where: Any) -> tuple[int, ...]:
    """Return the index of the first entry that is True."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(where), where.shape))


def source_row(row: tuple[int, ...], x: np.ndarray) -> tuple[int, ...]:
    """Return which entry of x broadcasting takes to that row."""
    last = row[len(row) - x.ndim :]
    return tuple(i if size > 1 else 0 for i, size in zip(last, x.shape, strict=True))


def row_label(row: tuple[int, ...]) -> str:
    """Return an index as an error text names it."""
    return f"[{', '.join(map(str, row))}] (row {row[0] if len(row) == 1 else row})" if row else ""
