"""Numba's CUDA driver: devices, streams, memory and copies.

No other module imports `numba.cuda`, except its extension API in `fastemd.cuda.primitives.intrinsics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda as cuda  # as: other modules take it from here
from numba.core import config

SIMULATED = bool(config.ENABLE_CUDASIM)


def device_count() -> int:
    """Return how many CUDA devices there are."""
    return len(cuda.gpus)


def device_of(address: int) -> int:
    """Return the ordinal of the device to whose memory an address belongs.

    Raises
    ------
    ValueError
        If no device knows the address.
    """
    from cuda.bindings import driver

    cuda.current_context()
    attribute = driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, ordinal = driver.cuPointerGetAttribute(attribute, address)
    if status != driver.CUresult.CUDA_SUCCESS:
        raise ValueError(f"{address:#x} is no address that a CUDA device knows ({status.name}).")
    return int(ordinal)


def multiprocessors(device: int) -> int:
    """Return how many multiprocessors a device has."""
    with cuda.gpus[device]:
        return int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def empty(shape: tuple[int, ...], dtype: Any, device: int) -> Any:
    """Return a new numba array on a device; bfloat16 is stored as uint16."""
    with cuda.gpus[device]:
        return cuda.device_array(shape, np.uint16 if dtype.name == "bfloat16" else dtype)


def upload(array: np.ndarray, device: int) -> Any:
    """Return a copy of a host array on a device, once it is complete."""
    with cuda.gpus[device]:
        copy = cuda.to_device(array)
        cuda.default_stream().synchronize()  # other libraries' streams do not wait for numba's
        return copy


def fill(x: Any, array: np.ndarray) -> None:
    """Queue the copy of a host vector to a contiguous `DeviceArray` on its stream."""
    memory = {"shape": x.shape, "typestr": x.dtype.str, "data": (x.address, False), "version": 3}
    with cuda.gpus[x.device]:
        target = cuda.from_cuda_array_interface(memory, owner=x.owner, sync=False)
        target.copy_to_device(np.ascontiguousarray(array), stream=stream_of(x.stream))


def address_of(array: Any) -> int:
    """Return the address of a numba array."""
    return int(array.device_ctypes_pointer.value or 0)


def to_host(x: Any) -> np.ndarray:
    """Return a copy of a `DeviceArray` in host memory, once its stream has reached it; bfloat16 becomes float32."""
    stored = np.dtype(np.uint16) if x.dtype.name == "bfloat16" else x.dtype
    if x.size == 0:
        return np.empty(x.shape, np.float32 if stored != x.dtype else stored)
    reach = [(size - 1) * stride for size, stride in zip(x.shape, x.strides, strict=True)]
    below, above = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + stored.itemsize
    memory = {"shape": (above - below,), "typestr": "|u1", "data": (x.address + below, False), "version": 3}
    with cuda.gpus[x.device]:
        stream = stream_of(x.stream)
        source = cuda.from_cuda_array_interface(memory, owner=x.owner, sync=False)
        flat = source.copy_to_host(stream=stream)
        stream.synchronize()
    copy = np.ndarray(x.shape, stored, buffer=flat, offset=-below, strides=x.strides)
    return copy if stored == x.dtype else (copy.astype(np.uint32) << 16).view(np.float32)


def stream_of(handle: int) -> Any:
    """Return numba's stream for a handle; 1 is the legacy default stream, 2 the per-thread default stream."""
    if handle == 1:
        return cuda.legacy_default_stream()
    return cuda.per_thread_default_stream() if handle == 2 else cuda.external_stream(handle)


def on(device: int) -> Any:
    """Return a context in which a device is current."""
    return cuda.gpus[device]


def synchronize(device: int, handle: int) -> None:
    """Wait until a stream has done all queued work."""
    with cuda.gpus[device]:
        stream_of(handle).synchronize()
