"""Where the arrays of a call lie: together, on one device and stream, or not; and what is told to whom they do not.

Each text names the argument, what came, what is needed, and the mend in the words of the array's library.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .device import DeviceArray, Dtype
from .device_readers import read

AnyArray = np.ndarray | DeviceArray


def together(x: AnyArray, y: AnyArray, names: tuple[str, str]) -> None:
    """Raise if two arrays do not lie in the same memory, or are not used on the same stream."""
    if isinstance(x, DeviceArray):
        if isinstance(y, DeviceArray):
            if x.device != y.device or x.stream != y.stream:
                _refuse_pair(x, y, names)
            return
        far, near, device_array = *names, x
    elif isinstance(y, DeviceArray):
        near, far, device_array = *names, y
    else:
        return
    raise TypeError(
        f"{names[0]} lies {place(x)} and {names[1]} {place(y)}. Needed: both on one side; try "
        f"{_sent(near, device_array)}, or {far} = {fetched(far, device_array)}."
    )


def _refuse_pair(x: DeviceArray, y: DeviceArray, names: tuple[str, str]) -> NoReturn:
    """Raise for two arrays that lie on two devices, or are used on two streams of one."""
    if x.device != y.device:
        raise ValueError(
            f"{names[0]} lies {place(x)} and {names[1]} {place(y)}. Needed: both on one device; "
            f"try {_moved(names[1], y, x.device)}."
        )
    raise ValueError(
        f"{names[0]} ({x.kind}) is used on stream {x.stream:#x} and {names[1]} ({y.kind}) on stream {y.stream:#x}. "
        f"Needed: both on one stream, lest one is read before it is written; {_joined(x, y)}."
    )


def not_in_host_memory(array: DeviceArray, name: str, reason: str) -> TypeError:
    """Return the error for an array on a device where only arrays in host memory will do."""
    return TypeError(
        f"{name} lies {place(array)}. Needed: an array in host memory, since {reason}; try {fetched(name, array)}."
    )


def output(out: Any, name: str, shape: tuple[int, ...], dtype: Dtype, inputs: dict[str, DeviceArray]) -> DeviceArray:
    """Return `out`, if an answer to arrays on a device can be written into it."""
    first, like = next(iter(inputs.items()))
    array = read(out, name)
    if array is None:
        raise TypeError(
            f"{name} is of type {type(out).__name__}, and {first} lies {place(like)}. Needed: an array there, of shape "
            f"{shape}, {dtype}; make it with {_made(like)}."
        )
    if array.package == "jax":
        raise TypeError(f"{name} is a jax array, which cannot be written to. Needed: no {name}; take the answer.")
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}. Needed: {dtype}, the dtype of the answer.")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}. Needed: {shape}, the shape of the answer.")
    if not array.writeable:
        raise ValueError(f"{name} is read-only. Needed: an array that can be written; try a copy of it.")
    together(like, array, (first, name))
    for other, used in inputs.items():
        if overlap(array, used):
            raise ValueError(f"{name} overlaps {other} in memory. Needed: memory of its own; inputs stay as they are.")
    return array


def overlap(x: DeviceArray, y: DeviceArray) -> bool:
    """Whether two arrays have a byte in common; where that is hard to know, whether the ranges of their bytes do."""
    if 0 in x.shape or 0 in y.shape:
        return False
    (first_x, last_x), (first_y, last_y) = _range(x), _range(y)
    if last_x <= first_y or last_y <= first_x:
        return False
    try:
        return np.shares_memory(_view(x), _view(y), max_work=10_000)  # type: ignore[arg-type]  # the stubs know 0 and -1
    except np.exceptions.TooHardError:
        return True


def _range(x: DeviceArray) -> tuple[int, int]:
    """Return the first byte of an array, and the one after its last."""
    first, last = x.address, x.address + x.dtype.itemsize
    for size, step in zip(x.shape, x.strides, strict=True):
        if step > 0:
            last += (size - 1) * step
        else:
            first += (size - 1) * step
    return first, last


class _Layout:
    """An array's place as numpy's array interface tells it."""

    def __init__(self, x: DeviceArray) -> None:
        word = f"|V{x.dtype.itemsize}"
        self.__array_interface__ = {
            "data": (x.address, True),
            "shape": x.shape,
            "strides": x.strides,
            "typestr": word,
            "version": 3,
        }


def _view(x: DeviceArray) -> np.ndarray:
    """Return a numpy array at a device's addresses, which must never be read: numpy only compares where it lies."""
    return np.asarray(_Layout(x))


def place(x: AnyArray) -> str:
    """Return where an array lies, in words."""
    if isinstance(x, DeviceArray):
        return f"on CUDA device {x.device} ({x.kind})"
    return f"in host memory ({type(x).__module__.partition('.')[0]}.{type(x).__name__})"


def fetched(name: str, x: DeviceArray) -> str:
    """Return the expression that copies an array to host memory."""
    if x.package == "torch":
        return f"{name}{'.float()' if x.dtype.name == 'bfloat16' else ''}.cpu().numpy()"
    words = {"cupy": f"{name}.get()", "numba": f"{name}.copy_to_host()", "jax": f"numpy.asarray({name})"}
    return words.get(x.package, f"cupy.asarray({name}).get()")


def converted(name: str, x: AnyArray, dtype: str) -> str:
    """Return the expression that converts an array to a dtype."""
    if not isinstance(x, DeviceArray):
        return f"{name}.astype(numpy.{dtype})"
    if x.package == "torch":
        return f"{name}.to(torch.{dtype})"
    return f"{name if x.package in ('cupy', 'jax') else f'cupy.asarray({name})'}.astype('{dtype}')"


def _sent(name: str, like: DeviceArray) -> str:
    """Return the statement that copies an array from host memory to a device."""
    if like.package == "torch":
        return f"{name} = torch.as_tensor({name}, device='cuda:{like.device}')"
    if like.package == "numba":
        return f"{name} = numba.cuda.to_device({name})"
    return f"{name} = {'jax.numpy' if like.package == 'jax' else 'cupy'}.asarray({name})"


def _moved(name: str, x: DeviceArray, device: int) -> str:
    """Return the statement that copies an array to another device."""
    if x.package == "torch":
        return f"{name} = {name}.to('cuda:{device}')"
    if x.package == "jax":
        return f"{name} = jax.device_put({name}, jax.devices()[{device}])"
    return f"with cupy.cuda.Device({device}): {name} = cupy.asarray({name})"


def _made(like: DeviceArray) -> str:
    """Return what makes an empty array beside another."""
    if like.package == "torch":
        return f"torch.empty(shape, dtype=..., device='cuda:{like.device}')"
    return "numba.cuda.device_array" if like.package == "numba" else "cupy.empty"


def _joined(x: DeviceArray, y: DeviceArray) -> str:
    """Return how to bring one of two libraries to the other's stream."""
    for array, other in ((x, y), (y, x)):
        if array.package == "cupy":
            return f"call under `with cupy.cuda.ExternalStream({other.stream:#x}):`"
        if array.package == "torch":
            return f"call under `with torch.cuda.stream(torch.cuda.ExternalStream({other.stream:#x})):`"
    return "synchronize the streams, and hand in both arrays with the same one"


def refuse_sequence(x: Any, name: str) -> NoReturn:
    """Raise for a list or tuple of arrays on a device."""
    raise TypeError(
        f"{name} is a {type(x).__name__} of arrays on a CUDA device. Needed: one array, of shape (..., n); "
        "try cupy.stack or torch.stack."
    )
