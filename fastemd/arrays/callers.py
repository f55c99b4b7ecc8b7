"""From answers in host memory to arrays of the caller's library."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import frames, host
from .device import AnyArray, DeviceArray

# Its arguments are an array, or the scalar of one pair, and the number of bins in its last axis, -1 where that is no
# axis of bins. It returns an array of the caller's kind.
Caller = Callable[[Any, int], Any]


def to_torch(array: Any, _: int) -> Any:
    """Return a tensor in the memory of a numpy array."""
    torch = sys.modules["torch"]
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_jax(array: Any, _: int) -> Any:
    """Return a jax array on jax's default device."""
    return sys.modules["jax"].numpy.asarray(array)


def to_cupy(array: Any, _: int) -> Any:
    """Return a cupy array on cupy's current device; rows that answer sparse ones stay sparse."""
    if hasattr(array, "nnz"):
        return sys.modules["cupyx"].scipy.sparse.csr_matrix(array)
    return sys.modules["cupy"].asarray(array)


def to_namespace(namespace: Any, array: Any, _: int) -> Any:
    """Return an array of a library that follows the array API standard."""
    return namespace.from_dlpack(np.asarray(array))


def to_subclass(like: np.ndarray, array: Any, _: int) -> Any:
    """Return an array of a subclass of numpy's, as numpy's own functions make it."""
    array = np.asarray(array)
    return like.__array_wrap__(array, None, array.ndim == 0)


def caller_of(array: AnyArray, a: Any, b: Any, space: Any = None) -> Caller | None:
    """Return the caller of a call with a and b: the first of the two that is neither numpy's own nor a list.

    `array` is a as it was read. Answers to arrays on a device are made there, by no caller.
    """
    if isinstance(array, DeviceArray):
        return None
    for x in (a, b):
        caller = _caller(x, a, b, space)
        if caller is not None:
            return caller
    return None


def _caller(x: Any, a: Any, b: Any, space: Any) -> Caller | None:
    """Return the caller that has passed `x`, or None if that is an array of numpy's own or a list."""
    package = host.package_of(x)
    if package in _CALLERS:
        return _CALLERS[package]
    if package in frames.PACKAGES:
        return frames.names_of(a, b, package, space).answer
    if isinstance(x, np.ndarray):
        # A class that gives arithmetic a meaning of its own, such as units, would give the answer a wrong one.
        own = type(x) is not np.ndarray and type(x).__array_ufunc__ is np.ndarray.__array_ufunc__
        return functools.partial(to_subclass, x) if own else None
    if package != "numpy" and hasattr(x, "__array_namespace__") and hasattr(x, "__dlpack__"):
        return functools.partial(to_namespace, x.__array_namespace__())
    return None


_CALLERS: dict[str, Caller] = {"cupyx": to_cupy, "torch": to_torch, "jax": to_jax, "jaxlib": to_jax}
