"""DLPack: the memory of other libraries is imported, and ours exported, through its C structures.

References
----------
The DLPack standard, https://dmlc.github.io/dlpack/latest/.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

CUDA, CUDA_MANAGED = 2, 13
KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
READ_ONLY = 1
MAJOR = 1  # the version whose structures are below

# A capsule keeps a pointer to its name, so names have to outlive all capsules.
_FRESH, _USED = b"dltensor", b"used_dltensor"
_FRESH_VERSIONED, _USED_VERSIONED = b"dltensor_versioned", b"used_dltensor_versioned"


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("ordinal", ctypes.c_int32))


class _Kind(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Kind),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def _python(name: str, result: Any, *arguments: Any) -> Any:
    """Return a function of Python's own, with types that no other user of `ctypes.pythonapi` sees or sets."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_is_valid = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_is_fresh = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_fresh_pointer = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_rename = _python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_capsule = _python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _Destructor)


class Imported(NamedTuple):
    """An imported tensor: strides in numbers, `kind` and `bits` of one number; `owner` keeps its memory alive."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    kind: str
    bits: int
    read_only: bool
    owner: Owner


class Owner:
    """Calls the exporter's deleter when nobody refers to an imported tensor any more."""

    def __init__(self, address: int, deleter: int | None) -> None:
        self._address = address
        self._deleter = deleter

    def __del__(self) -> None:
        if self._deleter:
            _Deleter(self._deleter)(self._address)


def import_array(array: Any, stream: int | None) -> Imported:
    """Import the memory of an array through DLPack, ready to be used on a stream."""
    try:
        capsule = array.__dlpack__(stream=stream, max_version=(MAJOR, 0))
    except TypeError:  # before version 1 there was no max_version
        capsule = array.__dlpack__(stream=stream)
    if _is_valid(capsule, _FRESH_VERSIONED):
        address = _pointer(capsule, _FRESH_VERSIONED)
        versioned = _Versioned.from_address(address)
        _rename(capsule, _USED_VERSIONED)
        owner = Owner(address, versioned.deleter)
        if versioned.major != MAJOR:
            raise BufferError(f"DLPack {versioned.major}.{versioned.minor} came where {MAJOR}.0 was asked for")
        tensor, flags = versioned.tensor, versioned.flags
    elif _is_valid(capsule, _FRESH):
        address = _pointer(capsule, _FRESH)
        managed = _Managed.from_address(address)
        _rename(capsule, _USED)
        owner = Owner(address, managed.deleter)
        tensor, flags = managed.tensor, 0
    else:
        raise BufferError("__dlpack__ answered no fresh capsule of DLPack")
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.ndim and tensor.strides else None
    kind = KINDS.get(tensor.dtype.code, "unknown") if tensor.dtype.lanes == 1 else "vector"
    start = (tensor.data or 0) + tensor.byte_offset
    return Imported(start, shape, strides, kind, tensor.dtype.bits, bool(flags & READ_ONLY), owner)


_exported: dict[int, tuple[Any, ...]] = {}  # by address: the objects that keep an exported tensor alive


def _release(address: int) -> None:
    _exported.pop(address, None)


def _release_unused(capsule: int) -> None:
    if _is_fresh(capsule, _FRESH):  # no library has imported the tensor
        _release(_fresh_pointer(capsule, _FRESH))


_deleter, _destructor = _Deleter(_release), _Destructor(_release_unused)


class Exported:
    """A `DeviceArray` that any library can import through DLPack, once every write to it has been done."""

    def __init__(self, array: Any, device_type: int = CUDA) -> None:
        self._array = array
        self._device = (device_type, array.device)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(self, **_: Any) -> Any:
        """Return a capsule; no stream has to be waited for."""
        array = self._array
        size = array.dtype.itemsize
        code = 4 if array.dtype.name == "bfloat16" else {"i": 0, "u": 1, "f": 2, "b": 6}[array.dtype.kind]
        axes = ctypes.c_int64 * max(array.ndim, 1)
        shape, strides = axes(*array.shape), axes(*(stride // size for stride in array.strides))
        tensor = _Tensor(array.address, _Device(*self._device), array.ndim, _Kind(code, 8 * size, 1), shape, strides, 0)
        managed = _Managed(tensor, None, ctypes.cast(_deleter, ctypes.c_void_p))
        address = ctypes.addressof(managed)
        _exported[address] = (managed, shape, strides, array)
        return _capsule(address, _FRESH, _destructor)
