"""Arrays on a CUDA device: their metadata, and new arrays made by the same library.

No module is imported for that: the array's library is loaded already, and numba's CUDA driver is loaded with the first
array on a device.
"""

from __future__ import annotations

import builtins
import math
import sys
from typing import Any, NamedTuple

import numpy as np

from . import dlpack

LEGACY = 1  # handle of the legacy default stream, which libraries also call 0 or None


class BFloat16:
    """The dtype bfloat16, which numpy lacks, with those attributes of a numpy dtype that are used here."""

    kind = "f"
    itemsize = 2
    name = str = "bfloat16"
    eps = 2.0**-7
    least = 2.0**-133

    def newbyteorder(self, _: object = None) -> BFloat16:
        """Return the dtype itself: a device has one byte order."""
        return self

    def __eq__(self, other: object) -> bool:
        return other is self or (isinstance(other, np.dtype) and other.name == "bfloat16")

    def __hash__(self) -> int:
        return hash("bfloat16")

    def __repr__(self) -> builtins.str:
        return "bfloat16"


BFLOAT16 = BFloat16()

Dtype = np.dtype | BFloat16


class DeviceArray(NamedTuple):
    """The metadata of an array on a CUDA device.

    Parameters
    ----------
    owner : object
        The array of its library; it keeps the memory alive.
    package : str
        "cupy", "torch", "numba", "jax", or the first word of the module that its class comes from.
    address : int
        Address of its first number.
    shape, strides : tuple of int
        Entries along each axis, and bytes from one to the next.
    dtype : numpy.dtype or BFLOAT16
        In the device's byte order.
    device : int
        The ordinal of its device.
    stream : int
        Handle of the stream on which it may be read and written; 1 is the legacy default stream, 2 the one that each
        thread has of its own.
    writeable : bool
        Whether an answer may be written to it.
    memory_owner : object, optional
        Releases memory that was imported through DLPack once nobody refers to it any more.
    """

    owner: Any
    package: str
    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Dtype
    device: int
    stream: int
    writeable: bool
    memory_owner: Any = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def kind(self) -> str:
        """The class of the owner, as an error text names it."""
        return f"{self.package}.{type(self.owner).__name__}"

    # Arrays are compared as objects: tuples would compare the owners, number by number.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


AnyArray = np.ndarray | DeviceArray


def contiguous(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the strides, in bytes, of an array in C order."""
    if len(shape) == 1:
        return (itemsize,)
    strides = []
    for size in reversed(shape):
        strides.append(itemsize)
        itemsize *= size
    return tuple(reversed(strides))


def empty(like: DeviceArray, shape: tuple[int, ...], dtype: Dtype) -> DeviceArray:
    """Return a new array in C order, made by the library of `like`, on the same device and stream.

    Libraries whose arrays cannot be made by name, or not be written to, get an array of numba's.

    Raises
    ------
    MemoryError
        If the device has not so much memory left.
    """
    try:
        owner, address = _MAKERS.get(like.package, _empty_by_driver)(like, shape, dtype)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        size = math.prod(shape) * dtype.itemsize
        raise MemoryError(
            f"CUDA device {like.device} has no {size:,} bytes ({size / 2**30:.3g} GiB) left for an array of shape "
            f"{shape}, {dtype}. Needed: less at a time, or more free memory; hand in fewer rows, or an array as out=."
        ) from error
    strides = contiguous(shape, dtype.itemsize)
    return DeviceArray(owner, like.package, address, shape, strides, dtype, like.device, like.stream, True)


def _empty_by_torch(like: DeviceArray, shape: tuple[int, ...], dtype: Dtype) -> tuple[Any, int]:
    torch = sys.modules["torch"]
    tensor = torch.empty(shape, dtype=getattr(torch, dtype.name), device=like.owner.device)
    return tensor, tensor.data_ptr()


def _empty_by_cupy(like: DeviceArray, shape: tuple[int, ...], dtype: Dtype) -> tuple[Any, int]:
    cupy = sys.modules["cupy"]
    if dtype is BFLOAT16:
        dtype = like.owner.dtype  # an answer is bfloat16 only where `like` is; its dtype is the library's own
    if cupy.cuda.runtime.getDevice() == like.device:
        array = cupy.empty(shape, dtype)
    else:
        with cupy.cuda.Device(like.device):
            array = cupy.empty(shape, dtype)
    return array, array.data.ptr


def _empty_by_driver(like: DeviceArray, shape: tuple[int, ...], dtype: Dtype) -> tuple[Any, int]:
    from . import driver

    array = driver.empty(shape, dtype, like.device)
    return array, array.__cuda_array_interface__["data"][0]


_MAKERS = {"torch": _empty_by_torch, "cupy": _empty_by_cupy}


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error of any library means that a device has no memory left."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower().replace("_", " ")


def to_device(like: DeviceArray, array: np.ndarray) -> DeviceArray:
    """Return a float64 copy of a host array, made by the library of `like`, in the order of its stream."""
    from . import driver

    copy = empty(like, (array.size,), np.dtype(np.float64))
    if array.size:
        driver.fill(copy, np.ascontiguousarray(array, np.float64).ravel())
    return copy._replace(shape=array.shape, strides=contiguous(array.shape, 8))


def synchronize(*arrays: DeviceArray) -> None:
    """Wait for the stream if an array was imported through DLPack: its owner may reuse the memory without waiting."""
    for array in arrays:
        if array.memory_owner is not None:
            from . import driver

            driver.synchronize(array.device, array.stream)
            return


def to_caller(array: Any) -> Any:
    """Return a `DeviceArray` as an array of the caller's library; anything else is returned as it is."""
    if not isinstance(array, DeviceArray):
        return array
    if array.package == "jax":
        return sys.modules["jax"].dlpack.from_dlpack(dlpack.Exported(array))
    return array.owner


def to_host(array: Any) -> np.ndarray:
    """Return an array in host memory, after waiting for its stream; bfloat16 becomes float32."""
    if not isinstance(array, DeviceArray):
        return array
    from . import driver

    return driver.to_host(array)
