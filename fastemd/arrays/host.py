"""Readers of arrays in host memory: from an object of another library to a numpy array, without a copy where it can be.

A library is recognised by the package of a class or of its bases, so none is imported here.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import frames

CPU = 1  # the device type of host memory in DLPack

Reader = Callable[[Any, str], np.ndarray | None]


def read(x: Any, name: str) -> np.ndarray | None:
    """Return `x` as a numpy array, or None if no library that is known here has made it."""
    reader = _reader(type(x))  # type: ignore[arg-type]  # mypy takes a class for not hashable
    return None if reader is None else reader(x, name)


def package_of(x: Any) -> str:
    """Return the package of the class of `x` or, for a subclass of one that is known, of its base."""
    return _package(type(x))  # type: ignore[arg-type]  # mypy takes a class for not hashable


@functools.lru_cache(maxsize=256)
def _package(kind: Any) -> str:
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package in _READERS:
            return package
    return kind.__module__.partition(".")[0]


@functools.lru_cache(maxsize=256)
def _reader(kind: Any) -> Reader | None:
    package = _package(kind)
    if package in _READERS:
        return _READERS[package]
    if hasattr(kind, "__dlpack__") and package not in ("builtins", "numpy"):
        return _by_dlpack
    return None


def _by_torch(x: Any, name: str) -> np.ndarray | None:
    torch = sys.modules["torch"]
    if not isinstance(x, torch.Tensor):
        return None
    refuse_gradient(x, name)
    if x.layout is not torch.strided:
        raise TypeError(f"{name} is a torch tensor of layout {x.layout}. Needed: a dense one; try {name}.to_dense().")
    if x.device.type == "meta":
        raise TypeError(
            f"{name} is a torch tensor on the meta device, which holds no numbers. Needed: a tensor in host memory or "
            f"on a CUDA device; try torch.rand({name}.shape)."
        )
    if not x.is_cpu:
        raise TypeError(
            f"{name} is a torch tensor on device {x.device}, where fastemd has no kernels. Needed: one in host memory "
            f"or on a CUDA device; try {name}.cpu()."
        )
    x = x.resolve_neg()
    try:
        if x.dtype is torch.bfloat16:
            return x.view(torch.uint16).numpy().view(bfloat16(name, f"{name}.float()"))
        return x.numpy()
    except RuntimeError as error:
        raise TypeError(
            f"{name} is a torch tensor whose numbers cannot be read ({error}). Needed: a tensor outside of "
            "torch.func's transforms and of torch.compile; fastemd.torch.emd_loss works within them."
        ) from None


def refuse_gradient(x: Any, name: str) -> None:
    """Raise for a torch tensor that requires grad."""
    if x.requires_grad:
        raise TypeError(
            f"{name} is a torch tensor that requires grad, which is not recorded here. Needed: a tensor without; "
            f"try {name}.detach(), or fastemd.torch.emd_loss, which has a gradient."
        )


def bfloat16(name: str, mend: str) -> np.dtype:
    """Return the dtype bfloat16 of ml_dtypes, which numpy lacks."""
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(
            f"{name} has dtype bfloat16, which numpy reads with the package ml_dtypes only, and that is not "
            f"installed. Needed: another dtype, or pip install ml_dtypes; try {mend}."
        ) from None
    return np.dtype(ml_dtypes.bfloat16)


def _by_jax(x: Any, name: str) -> np.ndarray | None:
    jax = sys.modules["jax"]
    if isinstance(x, jax.core.Tracer):
        raise TypeError(
            f"{name} is traced by jax (jit, grad or vmap), and holds no numbers yet. Needed: a concrete array; within "
            "jax's transforms use fastemd.jax.emd_loss."
        )
    if not isinstance(x, jax.Array):
        return None
    return np.asarray(x)


def _by_sparse(x: Any, name: str) -> np.ndarray | None:
    if not hasattr(x, "nnz"):  # scipy has other classes as well
        return None
    raise TypeError(
        f"{name} is a sparse array (scipy.sparse.{type(x).__name__}), which is not taken here. Needed: a dense "
        f"array; try {name}.toarray(). emd, pairwise, embed and nearest take sparse ones."
    )


def _by_dlpack(x: Any, name: str) -> np.ndarray | None:
    ask = getattr(x, "__dlpack_device__", None)
    if ask is None or int(ask()[0]) != CPU:
        return None
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError):
        return None


def writable(x: Any, name: str) -> np.ndarray | None:
    """Return a view of an array of another library that an answer can be written to, or None."""
    package = package_of(x)
    if package in ("jax", "jaxlib"):
        raise TypeError(f"{name} is a jax array, which cannot be written to. Needed: no {name}; take the answer.")
    return None if package in frames.PACKAGES else read(x, name)


_READERS: dict[str, Reader] = {
    "torch": _by_torch,
    "jax": _by_jax,
    "jaxlib": _by_jax,
    "pandas": frames.read,
    "polars": frames.read,
    "scipy": _by_sparse,
}
