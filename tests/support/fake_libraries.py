"""Stand-ins for cupy, torch, jax, numba's device arrays and others: they look alike, and their devices are host memory.

`installed` puts the modules where the package looks for them. An array is made of a numpy array, whose memory it is, by
one of `MAKERS`; `host` reads it back. Numbers of bfloat16 lie in memory as uint16.
"""

import contextlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np

from fastemd.arrays import dlpack
from fastemd.arrays.device import BFLOAT16

LEGACY = 1


def to_bfloat16(x):
    """Numbers rounded to bfloat16, to nearest and to even, as the uint16 that they are in memory."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded)


def from_bfloat16(bits):
    """The float32 numbers that uint16 stand for as bfloat16."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


class State:
    """What the libraries know: streams, memory that is left, the memory of each array, and what they were asked for."""

    def __init__(self):
        self.cupy_device = 0
        self.streams = {"cupy": {}, "torch": {}}
        self.bytes_left = None
        self.memory = []
        self.streams_asked = []
        self.synchronized = []

    def take(self, memory, device, error=None):
        """Note that memory lies on a device; raise `error` where there is not so much left."""
        if self.bytes_left is not None and memory.nbytes > self.bytes_left:
            raise error
        base = memory.base if isinstance(memory.base, np.ndarray) else memory
        self.memory.append((base, memory.__array_interface__["data"][0], memory.nbytes, device))

    def device_of(self, address):
        for base, _, _, device in reversed(self.memory):
            low, high = np.lib.array_utils.byte_bounds(base)
            if low <= address < high:
                return device
        raise ValueError("no device knows this address")


state = State()


def interface(memory, **changes):
    """What an array says of itself by the CUDA array interface, with changes."""
    ours = memory.__array_interface__
    return {
        "shape": memory.shape,
        "strides": ours["strides"],
        "typestr": memory.dtype.str,
        "data": (ours["data"][0], not memory.flags.writeable),
        "version": 3,
        "stream": None,
    } | changes


class Base:
    """Memory on a device, which numpy must not read."""

    def __init__(self, memory, device=0):
        self.memory = memory
        self.address = memory.__array_interface__["data"][0]
        state.take(memory, device)
        self.ordinal = device

    @property
    def shape(self):
        return self.memory.shape

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


# --- cupy -------------------------------------------------------------------------------------------------------------


class CupyArray(Base):
    """cupy.ndarray."""

    def __init__(self, memory, device=0, dtype=None):
        super().__init__(memory, device)
        self.dtype = memory.dtype if dtype is None else dtype
        self.strides = memory.strides
        self.data = SimpleNamespace(ptr=self.address)
        self.device = SimpleNamespace(id=device)

    @property
    def __cuda_array_interface__(self):
        raise AssertionError("cupy's arrays are read without their interface, which takes longer")


class CupyOutOfMemory(MemoryError):
    """cupy.cuda.memory.OutOfMemoryError."""


class Brain16:
    """ml_dtypes' bfloat16 as numpy knows it."""

    name = "bfloat16"

    def __str__(self):
        return "bfloat16"


BRAIN16 = Brain16()


def cupy_empty(shape, dtype):
    memory = np.full(shape, 77, np.uint16 if dtype is BRAIN16 else dtype)
    array = CupyArray.__new__(CupyArray)
    state.take(memory, state.cupy_device, CupyOutOfMemory(f"Out of memory allocating {memory.nbytes:,} bytes"))
    CupyArray.__init__(array, memory, state.cupy_device, dtype if dtype is BRAIN16 else None)
    return array


@contextlib.contextmanager
def cupy_device(device):
    before, state.cupy_device = state.cupy_device, device
    yield
    state.cupy_device = before


def cupy_module():
    cupy = ModuleType("cupy")
    cupy.ndarray = CupyArray
    cupy.empty = cupy_empty
    cupy.cuda = SimpleNamespace(
        Device=cupy_device,
        get_current_stream=lambda device=-1: SimpleNamespace(ptr=state.streams["cupy"].get(device, 0)),
        runtime=SimpleNamespace(getDevice=lambda: state.cupy_device),
    )
    return cupy


# --- torch ------------------------------------------------------------------------------------------------------------


class TorchDtype:
    """torch.dtype."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"


WIDTHS = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64), "bfloat": (16,), "complex": (64,)}
NAMES = [f"{kind}{width}" for kind, widths in WIDTHS.items() for width in widths]
TORCH_DTYPES = {name: TorchDtype(name) for name in (*NAMES, "bool", "float8_e4m3fn")}


class TorchTensor(Base):
    """torch.Tensor on a device, or under `is_cuda=False` in host memory."""

    def __init__(self, memory, device=0, dtype=None, requires_grad=False, layout="strided", is_cuda=True, neg=False):
        super().__init__(memory, device)
        self.dtype = dtype or TORCH_DTYPES[memory.dtype.name]
        self.requires_grad, self.layout, self.is_cuda, self._neg = requires_grad, layout, is_cuda, neg
        self.device = f"cuda:{device}"
        self._steps = tuple(step // memory.itemsize for step in memory.strides)

    @property
    def __cuda_array_interface__(self):
        raise TypeError("torch's interface has no word for bfloat16, and none for a gradient")

    def is_neg(self):
        return self._neg

    def get_device(self):
        return self.ordinal

    def data_ptr(self):
        return self.address

    def stride(self):
        return self._steps


class TorchOutOfMemory(RuntimeError):
    """torch.OutOfMemoryError."""


def torch_empty(shape, dtype, device):
    memory = np.full(shape, 77, np.uint16 if dtype.name == "bfloat16" else dtype.name)
    ordinal = int(device.removeprefix("cuda:"))
    state.take(memory, ordinal, TorchOutOfMemory(f"CUDA out of memory. Tried to allocate {memory.nbytes} bytes."))
    return TorchTensor(memory, ordinal, dtype)


def torch_module():
    torch = ModuleType("torch")
    vars(torch).update(TORCH_DTYPES)
    torch.Tensor, torch.empty, torch.strided = TorchTensor, torch_empty, "strided"
    torch.cuda = SimpleNamespace(
        current_stream=lambda device: SimpleNamespace(cuda_stream=state.streams["torch"].get(device, 0))
    )
    return torch


# --- numba, jax, and libraries that speak one protocol ----------------------------------------------------------------


class NumbaArray(Base):
    """numba's DeviceNDArray, which is known by its interface alone."""

    def __init__(self, memory, device=0, dtype=None):
        super().__init__(memory, device)
        self.dtype = memory.dtype if dtype is None else dtype

    @property
    def __cuda_array_interface__(self):
        return interface(self.memory, **({"typestr": "<V2"} if self.dtype is BFLOAT16 else {}))


class InterfaceArray(Base):
    """An array of a library that nobody has heard of; `changes` are what its interface says otherwise."""

    def __init__(self, memory, device=0, **changes):
        super().__init__(memory, device)
        self.changes = changes

    @property
    def __cuda_array_interface__(self):
        return interface(self.memory, **self.changes)


class CapsuleArray(Base):
    """An array of a library that knows DLPack and nothing else."""

    kind = dlpack.CUDA

    def __dlpack_device__(self):
        return self.kind, self.ordinal

    def __dlpack__(self, *, stream=None, max_version=None):
        state.streams_asked.append(stream)
        return self.memory.__dlpack__(max_version=max_version)


class OldCapsuleArray(CapsuleArray):
    """One whose library is older than DLPack 1."""

    def __dlpack__(self, stream=None):
        state.streams_asked.append(stream)
        return at(self.address, self.shape, self.memory.strides, self.memory.dtype).__dlpack__()


class JaxArray(CapsuleArray):
    """jax.Array on a GPU."""

    @property
    def __cuda_array_interface__(self):
        raise AssertionError("jax's interface does not wait for what is being computed")


def jax_from_dlpack(exported):
    imported = dlpack.import_array(exported, 5)
    kind, device = exported.__dlpack_device__()
    assert kind == dlpack.CUDA
    word = {"bfloat": np.uint16, "bool": bool}.get(imported.kind, f"{imported.kind}{imported.bits}")
    memory = at(imported.address, imported.shape, None, np.dtype(word))
    array = JaxArray(memory, device)
    array.memory_owner = imported.owner
    return array


def jax_module():
    jax = ModuleType("jax")
    jax.Array = JaxArray
    jax.dlpack = SimpleNamespace(from_dlpack=jax_from_dlpack)
    return jax


for _class, _module, _name in (
    (CupyArray, "cupy", "ndarray"),
    (TorchTensor, "torch", "Tensor"),
    (NumbaArray, "numba.cuda.cudadrv.devicearray", "DeviceNDArray"),
    (InterfaceArray, "tensors.gpu", "Array"),
    (CapsuleArray, "capsules", "Array"),
    (OldCapsuleArray, "capsules", "OldArray"),
    (JaxArray, "jaxlib._jax", "ArrayImpl"),
):
    _class.__module__, _class.__name__ = _module, _name

MAKERS = {
    "cupy": CupyArray,
    "torch": TorchTensor,
    "numba": NumbaArray,
    "tensors": InterfaceArray,
    "capsules": CapsuleArray,
    "old capsules": OldCapsuleArray,
    "jax": JaxArray,
}
ANSWERS = {"cupy": CupyArray, "torch": TorchTensor, "jax": JaxArray}  # others are answered by numba's arrays


def bfloat16_array(x, package):
    """Numbers as an array of bfloat16 of a library."""
    if package == "cupy":
        return CupyArray(to_bfloat16(x), dtype=BRAIN16)
    return TorchTensor(to_bfloat16(x), dtype=TORCH_DTYPES["bfloat16"])


def at(address, shape, strides, dtype):
    """The numbers at an address, as a numpy array that can be written."""
    words = {"data": (address, False), "shape": shape, "strides": strides, "typestr": dtype.str, "version": 3}
    return np.asarray(SimpleNamespace(__array_interface__=words))


def view(array):
    """The memory of a `DeviceArray` as a numpy array; bfloat16 as uint16."""
    if array.size == 0:
        return np.empty(array.shape, np.uint16 if array.dtype is BFLOAT16 else array.dtype)
    dtype = np.dtype(np.uint16) if array.dtype is BFLOAT16 else array.dtype
    return at(array.address, array.shape, array.strides, dtype)


def host(array):
    """What a library's array holds; bfloat16 as float32."""
    is_half = str(getattr(array, "dtype", "")).endswith("bfloat16")
    return from_bfloat16(array.memory) if is_half else array.memory


@contextlib.contextmanager
def installed(monkeypatch):
    """Put the libraries where they are looked for, with a state of their own."""
    state.__init__()
    for name, module in (("cupy", cupy_module()), ("torch", torch_module()), ("jax", jax_module())):
        monkeypatch.setitem(sys.modules, name, module)
    yield state
    state.__init__()
