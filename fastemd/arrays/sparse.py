"""Sparse arrays and matrices of scipy and of cupyx, which are read in host memory."""

from __future__ import annotations

from typing import Any

from .host import package_of


def is_sparse(x: Any) -> bool:
    """Whether `x` is a sparse array or matrix of scipy or cupyx."""
    return package_of(x) in ("scipy", "cupyx") and hasattr(x, "nnz")


def to_scipy(x: Any) -> Any:
    """Return a sparse array in host memory; one of cupyx is copied."""
    return x.get() if package_of(x) == "cupyx" else x
