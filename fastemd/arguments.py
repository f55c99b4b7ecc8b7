"""What users hand in with a call: arrays, and the words that say how to read them. Every error text of a call is here.

Each text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from typing import Any

import numpy as np

from . import device_arguments, device_readers
from .device import BFloat16, DeviceArray, Dtype
from .device_arguments import AnyArray
from .space import Space
from .validation import one_of

MASSES = ("equal", "normalize", "root")
WRT = ("a", "b", "both", "length")


def space_of(space: Any) -> Space:
    """Return `space`, if it is one."""
    if not isinstance(space, Space):
        raise TypeError(
            f"space is of type {type(space).__name__}. Needed: a fastemd.Chain, Ring or Tree, such as fastemd.Chain(n)."
        )
    return space


def array_of(x: Any, name: str) -> np.ndarray:
    """Return a numpy array of what a user handed in, without a copy where it is one."""
    array = anywhere(x, name)
    if isinstance(array, DeviceArray):
        raise device_arguments.not_in_host_memory(array, name, "nothing else is computed with here")
    return array


def anywhere(x: Any, name: str) -> AnyArray:
    """Return what a user handed in as an array, without a copy where it is one in host memory or on a CUDA device."""
    if type(x) is np.ndarray or type(x) is DeviceArray:
        return x
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array. Needed: an array without a mask; try {name}.filled(0).")
    if isinstance(x, np.ndarray):
        return x
    if (array := device_readers.read(x, name)) is not None:
        return array
    if device_readers.is_sequence_of_them(x, name):
        device_arguments.refuse_sequence(x, name)
    package = type(x).__module__.partition(".")[0]
    if package in ("torch", "jax", "jaxlib", "tensorflow"):
        raise TypeError(
            f"{name} is of type {package}.{type(x).__name__}. Needed: a numpy array, whose kind the answer has; "
            f"try numpy.asarray({name})."
        )
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as an array ({error}). Needed: rows of equal length.") from None


def number_dtype(dtype: Any, name: str) -> np.dtype:
    """Return the dtype of the answer to histograms of a dtype: its own, float64 for integers."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{name} holds {dtype!r}. Needed: float16, float32, float64 or integers.") from None
    if found.kind not in "iuf" or found.itemsize > 8:
        raise TypeError(f"{name} holds {found}. Needed: float16, float32, float64 or integers.")
    return found.newbyteorder("=") if found.kind == "f" else np.dtype(np.float64)


def histograms(x: Any, name: str, space: Space) -> AnyArray:
    """Return `x` as an array (..., n) of float16, float32, float64 or integers; on a device bfloat16 will do, too."""
    array = anywhere(x, name)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name} has dtype {array.dtype}. Needed: float16, float32, float64 or integers; "
            f"try {device_arguments.converted(name, array, 'float64')}."
        )
    if array.ndim == 0:
        raise ValueError(f"{name} is a single number. Needed: an array of shape (..., {space.n}), a bin an entry.")
    if array.shape[-1] != space.n:
        raise ValueError(
            f"{name} has shape {array.shape}: {array.shape[-1]} bins in its last axis. Needed: {space.n}, as many as "
            f"{space!r} has; bins go last, rows first."
        )
    return array


def answer_dtype(array: AnyArray) -> Any:
    """Return the dtype of an answer to `array`: its own, float64 for integers."""
    return array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.dtype(np.float64)


def same_dtype(a: AnyArray, b: AnyArray, names: tuple[str, str]) -> Any:
    """Return the dtype of the answer to two arrays, which have to agree on it."""
    alike = (a.dtype.kind == "f") == (b.dtype.kind == "f")  # integers of any width go together
    if alike and (dtype := answer_dtype(a)) == answer_dtype(b):
        return dtype
    one, other = (1, 0) if a.dtype.kind == "f" else (0, 1)  # integers would lose what floats hold
    torch = isinstance(b, DeviceArray) and b.package == "torch"
    raise TypeError(
        f"{names[0]} has dtype {a.dtype} and {names[1]} has dtype {b.dtype}. Needed: the same, so that the answer's is "
        f"yours to choose; try {names[one]}.{'to' if torch else 'astype'}({names[other]}.dtype)."
    )


def batch_shape(a: tuple[int, ...], b: tuple[int, ...], names: tuple[str, str]) -> tuple[int, ...]:
    """Return the leading axes that two arrays have together."""
    if a == b:
        return a
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ValueError(
            f"{names[0]} has leading axes {a} and {names[1]} has {b}, which have no common batch shape. Needed: equal "
            "sizes, or 1, axis by axis from the right."
        ) from None


def exponent(rho: Any) -> float:
    """Return `rho` as a float, which is finite and at least 1."""
    try:
        if isinstance(rho, str | bytes):  # float would read them
            raise TypeError
        number = float(rho)
    except TypeError:
        raise TypeError(f"rho is {rho!r}. Needed: a number of at least 1; rho=1 is the exact distance.") from None
    except OverflowError:
        number = math.inf
    if not 1.0 <= number < math.inf:
        raise ValueError(f"rho is {rho}. Needed: a finite number of at least 1; rho=1 is the exact distance.")
    return number


def mass_policy(mass: Any, space: Space, choices: Collection[str] = MASSES) -> str:
    """Return `mass`, if it is a policy that the space has."""
    policy = one_of(mass, choices, "mass")
    if policy == "root" and space.kind == "ring":
        raise ValueError("mass is 'root' on a Ring, which has no root. Needed: 'equal' or 'normalize'.")
    return policy


def output(out: Any, name: str, shape: tuple[int, ...], dtype: Dtype, inputs: dict[str, Any]) -> Any:
    """Return `out`, if the answer to the inputs can be written into it: beside them, in host memory or on a device."""
    first, like = next(iter(inputs.items()))
    if isinstance(like, DeviceArray):
        return device_arguments.output(out, name, shape, dtype, inputs)
    if not isinstance(out, np.ndarray):
        if (array := device_readers.read(out, name)) is not None:
            device_arguments.together(like, array, (first, name))
        raise TypeError(f"{name} is of type {type(out).__name__}. Needed: a numpy array of shape {shape}, {dtype}.")
    if out.dtype != dtype:
        raise TypeError(f"{name} has dtype {out.dtype}. Needed: {dtype}, the dtype of the answer.")
    if out.shape != shape:
        raise ValueError(f"{name} has shape {out.shape}. Needed: {shape}, the shape of the answer.")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only. Needed: an array that can be written; try {name}.copy().")
    for other, array in inputs.items():
        if np.may_share_memory(out, array) and _overlap(out, array):
            raise ValueError(f"{name} overlaps {other} in memory. Needed: memory of its own; inputs stay as they are.")
    return out


def _overlap(x: np.ndarray, y: np.ndarray) -> bool:
    try:
        return np.shares_memory(x, y, max_work=10_000)  # type: ignore[arg-type]  # numpy's stubs know 0 and -1 only
    except np.exceptions.TooHardError:
        return True


def pair(out: Any) -> tuple[Any, Any]:
    """Return `out` as the pair of arrays that wrt="both" writes."""
    if not isinstance(out, tuple | list) or len(out) != 2:
        raise TypeError(f"out is of type {type(out).__name__}. Needed with wrt='both': a pair of arrays, for a and b.")
    return out[0], out[1]


def logits_of(logits: Any, space: Space) -> AnyArray:
    """Return logits as an array (..., n) of float16, float32 or float64; on a device bfloat16 will do, too."""
    array = anywhere(logits, "logits")
    if array.dtype.kind in "iu":
        mend = device_arguments.converted("logits", array, "float32")
        raise TypeError(f"logits has dtype {array.dtype}. Needed: floats; try {mend}.")
    return histograms(array, "logits", space)


def targets(target: Any, logits: AnyArray, space: Space) -> AnyArray:
    """Return a target as class indices (integers, the logits' leading axes) or histograms (..., n) like the logits."""
    array = anywhere(target, "target")
    device_arguments.together(logits, array, ("logits", "target"))
    if array.dtype.kind not in "iu":  # classes fit any logits
        array = histograms(array, "target", space)
        same_dtype(logits, array, ("logits", "target"))
    return array


@functools.lru_cache(maxsize=256)
def tolerated(dtype: Dtype, n: int) -> float:
    """Return by how much, relative to the larger, two masses may differ: what rounding may have done to n bins."""
    epsilon = dtype.eps if isinstance(dtype, BFloat16) else float(np.finfo(dtype).eps)
    return min(8.0 * n * epsilon, math.sqrt(epsilon))
