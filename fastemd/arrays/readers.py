"""Readers of arrays on a CUDA device: from an object of another library to a `DeviceArray`.

Only metadata is read. The library's own attributes come first, the CUDA array interface second, DLPack third: the
interface has neither bfloat16 nor torch's gradients, and DLPack has only the stream that is asked for.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dlpack
from .device import BFLOAT16, LEGACY, DeviceArray, Dtype, contiguous

DEVICES = (dlpack.CUDA, dlpack.CUDA_MANAGED)

_usable_devices: set[int] = set()  # devices that earlier calls have found usable

Reader = Callable[[Any, str, str], DeviceArray | None]


def read(x: Any, name: str) -> DeviceArray | None:
    """Return `x` as a `DeviceArray`, or None if it is no array on a CUDA device."""
    found = _reader(type(x))  # type: ignore[arg-type]  # mypy takes a class for not hashable
    if found is None:
        return None
    reader, package = found
    array = reader(x, name, package)
    if array is not None:
        if array.device not in _usable_devices:
            _require(array, name)
        _require_aligned(array, name)
    return array


def is_device_sequence(x: Any, name: str) -> bool:
    """Whether `x` is a list or tuple that starts with an array on a CUDA device, at any depth."""
    if not isinstance(x, list | tuple):
        return False
    while isinstance(x, list | tuple) and x:
        x, name = x[0], f"{name}[0]"
    return read(x, name) is not None


@functools.lru_cache(maxsize=256)
def _reader(kind: type) -> tuple[Reader, str] | None:
    """Return the reader of a class, and the package that an error text names."""
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package in _READERS:
            return _READERS[package]
    package = kind.__module__.partition(".")[0]
    return None if package in ("builtins", "numpy") else (_by_protocol, package)


def _dtype(dtype: Any, name: str) -> Dtype:
    """Return the dtype for torch's, cupy's or numpy's name of it."""
    try:
        return _dtype_of(dtype)
    except TypeError:
        raise TypeError(
            f"{name} has dtype {dtype}. Needed: float16, bfloat16, float32, float64 or integers; convert it first."
        ) from None


@functools.lru_cache(maxsize=64)
def _dtype_of(dtype: Any) -> Dtype:
    name = str(dtype).rpartition(".")[2]
    if name == "bfloat16":
        return BFLOAT16
    found = np.dtype(name)
    if found.kind == "V":  # dtypes that other packages register with numpy, such as float8
        raise TypeError
    return found


def _by_torch(x: Any, name: str, package: str) -> DeviceArray | None:
    if not getattr(x, "is_cuda", False):
        return None
    if x.requires_grad:
        raise TypeError(
            f"{name} is a torch tensor that requires grad, which is not recorded here. Needed: a tensor without; "
            f"try {name}.detach(), or fastemd.torch.emd_loss, which has a gradient."
        )
    if x.layout is not sys.modules[package].strided:
        raise TypeError(f"{name} is a torch tensor of layout {x.layout}. Needed: a dense one; try {name}.to_dense().")
    if x.is_neg():
        raise TypeError(
            f"{name} is a torch tensor whose numbers lie in memory with the other sign. Needed: one that is what its "
            f"memory says; try {name}.resolve_neg()."
        )
    dtype = _dtype(x.dtype, name)
    size = dtype.itemsize
    device = x.get_device()
    strides = tuple([step * size for step in x.stride()])
    stream = sys.modules[package].cuda.current_stream(device).cuda_stream or LEGACY
    return DeviceArray(x, package, x.data_ptr(), tuple(x.shape), strides, dtype, device, stream, True)


def _by_cupy(x: Any, name: str, package: str) -> DeviceArray | None:
    if not hasattr(x, "data") or not hasattr(x.data, "ptr"):  # cupy has classes that are no arrays
        return None
    device = x.device.id
    stream = sys.modules[package].cuda.get_current_stream(device).ptr or LEGACY
    return DeviceArray(x, package, x.data.ptr, x.shape, x.strides, _dtype(x.dtype, name), device, stream, True)


def _by_jax(x: Any, name: str, package: str) -> DeviceArray | None:
    """Read a jax array by DLPack, which waits for pending computations; the CUDA array interface would not."""
    try:
        return _by_dlpack(x, name, package)
    except BufferError:  # it is spread over several devices
        return None


def _by_protocol(x: Any, name: str, package: str) -> DeviceArray | None:
    interface = getattr(x, "__cuda_array_interface__", None)
    if interface is None:
        return _by_dlpack(x, name, package)
    return _by_interface(x, name, package, interface)


def _by_interface(x: Any, name: str, package: str, interface: dict[str, Any]) -> DeviceArray:
    version = interface.get("version", 0)
    if version < 2:
        raise TypeError(
            f"{name}'s __cuda_array_interface__ is of version {version}. Needed: 2 or 3; update the library {package}."
        )
    if interface.get("mask") is not None:
        raise TypeError(f"{name} is a masked array. Needed: an array without a mask; fill it, or drop its rows.")
    stream = interface.get("stream")
    if stream is not None and stream <= 0:
        raise ValueError(
            f"{name}'s __cuda_array_interface__ names stream {stream}, which the protocol forbids. Needed: 1 for the "
            "legacy default stream, 2 for the thread's own, or a handle; update the library, or set another stream."
        )
    dtype = _interface_dtype(x, interface["typestr"], name)
    shape = tuple(interface["shape"])
    strides = interface.get("strides")
    address, read_only = interface["data"]
    return DeviceArray(
        x,
        package,
        address or 0,
        shape,
        contiguous(shape, dtype.itemsize) if strides is None else tuple(strides),
        dtype,
        0 if 0 in shape else _device_of(address, x, name),  # an array without entries lies nowhere
        stream or LEGACY,
        not read_only,
    )


def _interface_dtype(x: Any, word: str, name: str) -> Dtype:
    """Return the dtype of a typestr. A bfloat16 is two bytes there, and the array's own dtype has its name."""
    if word in ("<V2", "|V2", "bfloat16") and str(getattr(x, "dtype", word)).endswith("bfloat16"):
        return BFLOAT16
    dtype = _dtype(word, name)
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        raise TypeError(
            f"{name} has dtype {dtype}, its bytes in the other order. Needed: bytes as the device has them; swap "
            "them in host memory, before they are copied to the device."
        )
    return dtype


def _by_dlpack(x: Any, name: str, package: str) -> DeviceArray | None:
    ask = getattr(x, "__dlpack_device__", None)
    if ask is None or not hasattr(x, "__dlpack__"):
        return None
    kind, device = ask()
    if int(kind) not in DEVICES:
        return None
    tensor = dlpack.import_array(x, LEGACY)
    bits = tensor.bits
    if tensor.kind == "bfloat" and bits == 16:
        dtype: Dtype = BFLOAT16
    elif tensor.kind == "bool":
        dtype = np.dtype(bool)
    else:
        dtype = _dtype(f"{tensor.kind}{bits}", name)
    size = dtype.itemsize
    strides = (
        contiguous(tensor.shape, size) if tensor.strides is None else tuple([step * size for step in tensor.strides])
    )
    writeable = not tensor.read_only and package != "jax"
    return DeviceArray(
        x, package, tensor.address, tensor.shape, strides, dtype, int(device), LEGACY, writeable, tensor.owner
    )


def _device_of(address: int, x: Any, name: str) -> int:
    """Return the device of a memory address, for libraries that do not name the device."""
    if not _usable_devices:
        _require_cuda(x, name)
    from . import driver

    try:
        return driver.device_of(address)
    except ValueError:
        raise ValueError(
            f"{name} lies at address {address:#x}, which belongs to no CUDA device here. Needed: an array of a device "
            "that is there; it may have been freed, or its device reset."
        ) from None


def _require(array: DeviceArray, name: str) -> None:
    """Raise if the device of an array does not exist or cannot be used."""
    _require_cuda(array.owner, name)
    from . import driver

    count = driver.device_count()
    if not 0 <= array.device < count:
        raise ValueError(
            f"{name} is an array of CUDA device {array.device} ({array.kind}), a device that is gone: {count} "
            f"{'is' if count == 1 else 'are'} there, numbered from 0. Needed: an array of one of those; make it anew."
        )
    _usable_devices.add(array.device)


def _require_cuda(x: Any, name: str) -> None:
    """Raise if CUDA cannot be used."""
    from .availability import is_available

    state = is_available()
    if not state:
        package = type(x).__module__.partition(".")[0]
        raise RuntimeError(
            f"{name} lies on a CUDA device ({package}.{type(x).__name__}), where fastemd cannot compute: "
            f"{state.reason.rstrip('.')}. Needed: CUDA that works, or an array in host memory; try {name}.get() or "
            f"{name}.cpu().numpy()."
        )


def _require_aligned(array: DeviceArray, name: str) -> None:
    """Raise if the numbers of an array are not aligned to their size: no device can read them then."""
    size = array.dtype.itemsize
    if array.address % size or any([step % size for step in array.strides]):
        raise ValueError(
            f"{name} is not aligned: its numbers of {size} bytes lie at address {array.address:#x}, {array.strides} "
            f"bytes apart. Needed: multiples of {size}; try a copy."
        )


_READERS: dict[str, tuple[Reader, str]] = {
    "torch": (_by_torch, "torch"),
    "cupy": (_by_cupy, "cupy"),
    "jax": (_by_jax, "jax"),
    "jaxlib": (_by_jax, "jax"),
}
