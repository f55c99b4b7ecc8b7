"""From what a caller passes to arrays: kind, dtype, batch shape, and arrays to write to.

Each error text names the argument, what came, what is needed, and the mend.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import numpy as np

from ..formulas.mass import mass_tolerance
from . import host, placement, readers
from .device import BFLOAT16, AnyArray, DeviceArray, Dtype


def one_of(value: Any, choices: Collection[str], name: str) -> str:
    """Return `value`, if it is one of the choices."""
    if isinstance(value, str) and value in choices:
        return value
    shown = ", ".join(map(repr, choices))
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}. Needed: a string, one of {shown}.")
    raise ValueError(f"{name} is {value!r}. Needed: one of {shown}.")


def as_array(x: Any, name: str) -> AnyArray:
    """Return `x` as a numpy array or, if it lies on a CUDA device, its metadata; no copy is made of arrays."""
    if type(x) is np.ndarray or type(x) is DeviceArray:
        return x
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array. Needed: an array without a mask; try {name}.filled(0).")
    if isinstance(x, np.ndarray):
        return x.view(np.ndarray)
    array: AnyArray | None
    if (array := readers.read(x, name)) is not None or (array := host.read(x, name)) is not None:
        return array
    if readers.is_device_sequence(x, name):
        raise placement.sequence_error(x, name)
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as an array ({error}). Needed: {_needed_of(x, name)}.") from None
    if array.dtype == object and array.ndim == 0:
        raise TypeError(
            f"{name} is of type {type(x).__name__}, which is no array. Needed: an array or a list of numbers, a bin an "
            "entry, rows first."
        )
    return array


def _needed_of(x: Any, name: str) -> str:
    """Return what a list or tuple needs to be an array."""
    first = x
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if host.package_of(first) == "torch":
        return f"tensors of one shape without gradients; try torch.stack({name}).detach()"
    return "rows of equal length"


def host_array(x: Any, name: str) -> np.ndarray:
    """Return `x` as a numpy array; an array on a device is refused."""
    array = as_array(x, name)
    if isinstance(array, DeviceArray):
        raise placement.host_memory_error(array, name, "nothing else is computed with here")
    return array


def real_array(x: Any, name: str) -> AnyArray:
    """Return `x` as an array of float16, bfloat16, float32, float64, integers or, in host memory, bools."""
    array = as_array(x, name)
    if not _is_real(array.dtype) or (array.dtype.kind == "b" and isinstance(array, DeviceArray)):
        raise TypeError(
            f"{name} has dtype {array.dtype}. Needed: float16, bfloat16, float32, float64 or integers; "
            f"{dtype_mend(x, name, array)}."
        )
    return array


def dtype_mend(x: Any, name: str, array: AnyArray) -> str:
    """Return what to do about an array of a dtype that is not read: convert it, or mend its first bad entry."""
    if array.dtype.kind == "c":
        on_host = isinstance(array, np.ndarray) and host.package_of(x) != "torch"
        return f"try numpy.real({name})" if on_host else f"try {name}.real"
    if isinstance(array, np.ndarray) and array.dtype.kind in "OSUV":
        for index, entry in np.ndenumerate(array):
            try:
                number = float(entry)
            except (TypeError, ValueError):
                number = np.nan
            if np.isnan(number):
                place = f"{name}[{', '.join(map(str, index))}]" if index else name
                shown = entry.item() if isinstance(entry, np.generic) else entry
                return f"write a number in place of {place}, which is {shown!r}"
    return f"try {conversion(x, name, array, 'float64')}"


def _is_real(dtype: Dtype) -> bool:
    """Whether kernels read numbers of a dtype."""
    return (dtype.kind in "iufb" and dtype.itemsize <= 8) or dtype.name == "bfloat16"


def is_float(dtype: Dtype) -> bool:
    """Whether a dtype is one of floats, bfloat16 too."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def conversion(x: Any, name: str, array: AnyArray, dtype: str) -> str:
    """Return the expression that converts what a caller has passed to an array of a dtype."""
    if isinstance(array, DeviceArray):
        return placement.conversion(name, array, dtype)
    if host.package_of(x) == "torch":
        return f"{name}.to(torch.{dtype})"
    if isinstance(x, np.ndarray | np.generic):
        return f"{name}.astype(numpy.{dtype})"
    return f"numpy.asarray({name}, dtype=numpy.{dtype})"


def histograms(x: Any, name: str, space: Any) -> AnyArray:
    """Return `x` as an array (..., n) of real numbers; `space` has n bins."""
    array = real_array(x, name)
    if array.ndim == 0:
        raise ValueError(f"{name} is a single number. Needed: an array of shape (..., {space.n}), a bin an entry.")
    if array.shape[-1] != space.n:
        raise ValueError(
            f"{name} has shape {array.shape}: {array.shape[-1]} bins in its last axis. Needed: {space.n}, as many as "
            f"{space!r} has; bins go last, rows first."
        )
    return array


def answer_dtype(dtype: Dtype) -> Any:
    """Return the dtype of an answer to arrays of a dtype: the same, but float64 for integers and bools."""
    return dtype.newbyteorder("=") if is_float(dtype) else np.dtype(np.float64)


@functools.lru_cache(maxsize=256)
def promoted(x: np.dtype, y: np.dtype) -> np.dtype:
    """Return the dtype of an answer to arrays of two dtypes in host memory, by numpy's promotion."""
    try:
        common = np.result_type(x, y)
    except TypeError:  # bfloat16 has no promotion with float16 and wide integers; float32 holds bfloat16 exactly
        wide = (np.dtype(np.float32) if each.name == "bfloat16" else each for each in (x, y))
        common = np.result_type(*wide)
    return answer_dtype(common)


def named_dtype(dtype: Any, name: str) -> np.dtype:
    """Return the dtype of an answer to arrays of a dtype that the caller names."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{name} holds {dtype!r}. Needed: float16, float32, float64 or integers.") from None
    if found.kind not in "iuf" or found.itemsize > 8:
        raise TypeError(f"{name} holds {found}. Needed: float16, float32, float64 or integers.")
    return answer_dtype(found)


def common(a: AnyArray, b: AnyArray, names: tuple[str, str], classes: bool = False) -> tuple[Any, tuple[int, ...]]:
    """Return the dtype of the answer and the batch shape of two arrays in the same memory.

    With `classes`, b holds class indices: it has no axis of bins, and its dtype is of no concern.
    """
    on_device = isinstance(a, DeviceArray) or isinstance(b, DeviceArray)
    if on_device:
        placement.check_same_device(a, b, names)
    dtype = answer_dtype(a.dtype)
    if not classes and a.dtype != b.dtype:
        if not on_device:
            dtype = promoted(a.dtype, b.dtype)
        elif dtype != answer_dtype(b.dtype) or (a.dtype.kind == "f") != (b.dtype.kind == "f"):
            raise _dtype_error(a, b, names)
    rows_a, rows_b = a.shape[:-1], b.shape if classes else b.shape[:-1]
    if rows_a == rows_b:
        return dtype, rows_a
    try:
        return dtype, np.broadcast_shapes(rows_a, rows_b)
    except ValueError:
        raise ValueError(
            f"{names[0]} has leading axes {rows_a} and {names[1]} has {rows_b}, which have no common batch shape. "
            "Needed: equal sizes, or 1, axis by axis from the right."
        ) from None


def _dtype_error(a: AnyArray, b: AnyArray, names: tuple[str, str]) -> TypeError:
    """Return the error for two dtypes; integers are advised to become floats, which lose nothing."""
    one, other = (1, 0) if a.dtype.kind == "f" else (0, 1)
    convert = "to" if isinstance(b, DeviceArray) and b.package == "torch" else "astype"
    return TypeError(
        f"{names[0]} has dtype {a.dtype} and {names[1]} has dtype {b.dtype}. Needed: the same, so that the answer's is "
        f"yours to choose; try {names[one]}.{convert}({names[other]}.dtype)."
    )


@functools.lru_cache(maxsize=256)
def tolerance(dtype: Dtype, other: Dtype, n: int) -> float:
    """Return by how much, relative to the larger, the masses of two rows of n bins of two dtypes may differ."""
    return max(mass_tolerance(*float_limits(each), n) for each in (dtype, other))


def float_limits(dtype: Dtype) -> tuple[float, float]:
    """Return the relative spacing of the floats of a dtype, and the smallest above 0; of float64 for integers."""
    if dtype.name == "bfloat16":
        return BFLOAT16.eps, BFLOAT16.least
    numbers = np.finfo(dtype if dtype.kind == "f" else np.float64)
    return float(numbers.eps), float(numbers.smallest_subnormal)


def output(out: Any, name: str, shape: tuple[int, ...], dtype: Dtype, inputs: dict[str, Any]) -> Any:
    """Return `out` as an array, if the answer to the inputs can be written to it.

    It has to lie in the memory of the inputs, to have the shape and dtype of the answer, and to overlap no input.
    """
    first, like = next(iter(inputs.items()))
    on_device = isinstance(like, DeviceArray)
    array: Any = out if isinstance(out, np.ndarray) and not on_device else readers.read(out, name)
    if array is None and not on_device:
        array = host.writable(out, name)
    if array is None:
        raise placement.output_error(out, name, shape, dtype, first, like)
    placement.check_same_device(like, array, (first, name))
    if on_device and array.package == "jax":
        raise TypeError(f"{name} is a jax array, which cannot be written to. Needed: no {name}; take the answer.")
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}. Needed: {dtype}, the dtype of the answer.")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}. Needed: {shape}, the shape of the answer.")
    if not (array.writeable if on_device else array.flags.writeable):
        copy = "a copy of it" if on_device else f"{name}.copy()"
        raise ValueError(f"{name} is read-only. Needed: an array that can be written; try {copy}.")
    for other, used in inputs.items():
        if placement.overlap(array, used):
            raise ValueError(f"{name} overlaps {other} in memory. Needed: memory of its own; inputs stay as they are.")
    return array
