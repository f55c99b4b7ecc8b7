"""Check that all arrays of a call are on one device and stream, and build the error message if not.

Each text names the argument, what came, what is needed, and the mend in the words of the array's library.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from .device import AnyArray, DeviceArray, Dtype


def check_same_device(x: AnyArray, y: AnyArray, names: tuple[str, str]) -> None:
    """Raise if two arrays are not both in host memory, or not on one device and stream."""
    if isinstance(x, DeviceArray):
        if isinstance(y, DeviceArray):
            if x.device != y.device or x.stream != y.stream:
                _raise_apart(x, y, names)
            return
        far, near, device_array = *names, x
    elif isinstance(y, DeviceArray):
        near, far, device_array = *names, y
    else:
        return
    raise TypeError(
        f"{names[0]} lies {location(x)} and {names[1]} {location(y)}. Needed: both on one side; try "
        f"{_device_copy(near, device_array)}, or {far} = {host_copy(far, device_array)}."
    )


def _raise_apart(x: DeviceArray, y: DeviceArray, names: tuple[str, str]) -> NoReturn:
    """Raise for two arrays on two devices, or on two streams of one device."""
    if x.device != y.device:
        raise ValueError(
            f"{names[0]} lies {location(x)} and {names[1]} {location(y)}. Needed: both on one device; "
            f"try {_peer_copy(names[1], y, x.device)}."
        )
    raise ValueError(
        f"{names[0]} ({x.kind}) is used on stream {x.stream:#x} and {names[1]} ({y.kind}) on stream {y.stream:#x}. "
        f"Needed: both on one stream, lest one is read before it is written; {_same_stream(x, y)}."
    )


def host_memory_error(array: DeviceArray, name: str, reason: str) -> TypeError:
    """Return the error for an array on a device where one in host memory is needed."""
    return TypeError(
        f"{name} lies {location(array)}. Needed: an array in host memory, since {reason}; try {host_copy(name, array)}."
    )


def output_error(out: Any, name: str, shape: tuple[int, ...], dtype: Dtype, first: str, like: AnyArray) -> TypeError:
    """Return the error for an `out` that is no array in the memory of `like`."""
    found = f"{name} is of type {type(out).__name__}"
    if isinstance(like, DeviceArray):
        return TypeError(
            f"{found}, and {first} lies {location(like)}. Needed: an array there, of shape {shape}, {dtype}; make it "
            f"with {_creation(like)}."
        )
    return TypeError(f"{found}. Needed: a numpy array of shape {shape}, {dtype}.")


def overlap(x: AnyArray, y: AnyArray) -> bool:
    """Whether two arrays in the same memory may have a byte in common; where that is hard to know, True."""
    x, y = _view(x), _view(y)
    try:
        return np.shares_memory(x, y, max_work=10_000)  # type: ignore[arg-type]  # numpy's stubs know 0 and -1 only
    except np.exceptions.TooHardError:
        return True


class _Layout:
    """The extent of an array in memory, as numpy's array interface describes it."""

    def __init__(self, x: DeviceArray) -> None:
        word = f"|V{x.dtype.itemsize}"
        self.__array_interface__ = {
            "data": (x.address, True),
            "shape": x.shape,
            "strides": x.strides,
            "typestr": word,
            "version": 3,
        }


def _view(x: AnyArray) -> np.ndarray:
    """Return an array at the addresses of another; on a device it must never be read, numpy only compares extents."""
    return np.asarray(_Layout(x)) if isinstance(x, DeviceArray) else x


def location(x: AnyArray) -> str:
    """Return the memory of an array, as an error text names it."""
    if isinstance(x, DeviceArray):
        return f"on CUDA device {x.device} ({x.kind})"
    return f"in host memory ({type(x).__module__.partition('.')[0]}.{type(x).__name__})"


def host_copy(name: str, x: DeviceArray) -> str:
    """Return the expression that copies an array to host memory."""
    if x.package == "torch":
        return f"{name}{'.float()' if x.dtype.name == 'bfloat16' else ''}.cpu().numpy()"
    words = {"cupy": f"{name}.get()", "numba": f"{name}.copy_to_host()", "jax": f"numpy.asarray({name})"}
    return words.get(x.package, f"cupy.asarray({name}).get()")


def conversion(name: str, x: AnyArray, dtype: str) -> str:
    """Return the expression that converts an array to a dtype."""
    if not isinstance(x, DeviceArray):
        return f"{name}.astype(numpy.{dtype})"
    if x.package == "torch":
        return f"{name}.to(torch.{dtype})"
    return f"{name if x.package in ('cupy', 'jax') else f'cupy.asarray({name})'}.astype('{dtype}')"


def _device_copy(name: str, like: DeviceArray) -> str:
    """Return the statement that copies an array from host memory to a device."""
    if like.package == "torch":
        return f"{name} = torch.as_tensor({name}, device='cuda:{like.device}')"
    if like.package == "numba":
        return f"{name} = numba.cuda.to_device({name})"
    return f"{name} = {'jax.numpy' if like.package == 'jax' else 'cupy'}.asarray({name})"


def _peer_copy(name: str, x: DeviceArray, device: int) -> str:
    """Return the statement that copies an array to another device."""
    if x.package == "torch":
        return f"{name} = {name}.to('cuda:{device}')"
    if x.package == "jax":
        return f"{name} = jax.device_put({name}, jax.devices()[{device}])"
    return f"with cupy.cuda.Device({device}): {name} = cupy.asarray({name})"


def _creation(like: DeviceArray) -> str:
    """Return what makes an empty array beside another."""
    if like.package == "torch":
        return f"torch.empty(shape, dtype=..., device='cuda:{like.device}')"
    return "numba.cuda.device_array" if like.package == "numba" else "cupy.empty"


def _same_stream(x: DeviceArray, y: DeviceArray) -> str:
    """Return how to bring one of two libraries to the other's stream."""
    for array, other in ((x, y), (y, x)):
        if array.package == "cupy":
            return f"call under `with cupy.cuda.ExternalStream({other.stream:#x}):`"
        if array.package == "torch":
            return f"call under `with torch.cuda.stream(torch.cuda.ExternalStream({other.stream:#x})):`"
    return "synchronize the streams, and hand in both arrays with the same one"


def sequence_error(x: Any, name: str) -> TypeError:
    """Return the error for a list or tuple of arrays on a device."""
    return TypeError(
        f"{name} is a {type(x).__name__} of arrays on a CUDA device. Needed: one array, of shape (..., n); "
        "try cupy.stack or torch.stack."
    )
