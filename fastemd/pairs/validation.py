"""Validation of the arguments of all pairs.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..arrays import inputs, placement
from ..arrays.device import DeviceArray
from ..arrays.sparse import is_sparse
from ..exact import validation as exact
from ..spaces.base import Space
from . import device
from .tables import Table, check_masses, table_of

DEFAULT_LIMIT = 1 << 30  # bytes of scratch, where the caller names no limit


def tables_of(A: Any, B: Any, space: Any, rho: Any, mass: Any) -> tuple[list[Any], Space, float, str]:
    """Return the tables (one, if B is None), in host memory or on a device, the space, the exponent and the policy."""
    space, rho, mass = exact.options(space, rho, mass)
    named = {"A": A} if B is None else {"A": A, "B": B}
    read: dict[str, Any] = {name: x if is_sparse(x) else inputs.histograms(x, name, space) for name, x in named.items()}
    placed = next((name for name, x in read.items() if isinstance(x, DeviceArray)), None)
    if placed is not None:
        if any(is_sparse(x) for x in read.values()):
            raise placement.host_memory_error(read[placed], placed, "sparse rows are compared there")
        placement.check_same_device(read["A"], read.get("B", read["A"]), ("A", "B"))
        return device.tables_of(read["A"], read.get("B"), space, mass), space, rho, mass
    tables = [table_of(x, name, space) for name, x in read.items()]
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
        if found.name == "bfloat16":  # on a device, where all tables have the same
            return found
        for table in tables[1:]:
            found = inputs.promoted(found, table.dtype)
        return found
    named = np.dtype(dtype)
    if named.kind != "f" or named.itemsize > 8:
        raise TypeError(f"dtype is {named}. Needed: numpy.float16, float32 or float64.")
    return named
