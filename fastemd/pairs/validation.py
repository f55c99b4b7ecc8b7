"""Validation of the arguments of all pairs.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..arrays import inputs
from ..exact import validation as exact
from ..spaces.base import Space
from .tables import Table, check_masses, table_of

DEFAULT_LIMIT = 1 << 30  # bytes of scratch, where the caller names no limit


def tables_of(A: Any, B: Any, space: Any, rho: Any, mass: Any) -> tuple[list[Table], Space, float, str]:
    """Return the tables (one, if B is None), the space, the exponent and the mass policy."""
    space, rho, mass = exact.options(space, rho, mass)
    tables = [table_of(A, "A", space)]
    if B is not None:
        tables.append(table_of(B, "B", space))
    check_masses(tables, mass, space.n)
    return tables, space, rho, mass


def count(k: Any, rows: int) -> int:
    """Return `k`, if there are so many rows."""
    try:
        if isinstance(k, bool):
            raise TypeError
        number = operator.index(k)
    except TypeError:
        raise TypeError(f"k is {k!r}. Needed: a whole number of neighbours, such as 10.") from None
    if not 1 <= number <= rows:
        raise ValueError(f"k is {number}, and B has {rows} rows. Needed: from 1 to {rows}.")
    return number


def memory_limit(limit: Any) -> int:
    """Return a limit of scratch in bytes."""
    if limit is None:
        return DEFAULT_LIMIT
    try:
        if isinstance(limit, bool):
            raise TypeError
        number = int(operator.index(int(limit) if isinstance(limit, float) and limit.is_integer() else limit))
    except (TypeError, ValueError):
        raise TypeError(f"memory_limit is {limit!r}. Needed: a number of bytes, such as 2**30.") from None
    if number <= 0:
        raise ValueError(f"memory_limit is {number}. Needed: a positive number of bytes, such as 2**30.")
    return number


def answer_dtype(dtype: Any, tables: list[Table]) -> np.dtype:
    """Return the dtype of the distances."""
    if dtype is None:
        found = tables[0].dtype
        for table in tables[1:]:
            found = inputs.promoted(found, table.dtype)
        return found
    named = np.dtype(dtype)
    if named.kind != "f" or named.itemsize > 8:
        raise TypeError(f"dtype is {named}. Needed: numpy.float16, float32 or float64.")
    return named
