"""The public functions on a device, called with numpy arrays: an adapter copies them to the device and answers back.

The same tests prove the CUDA backend twice: in numba's simulator, with small blocks, and on a device where there is
one (the marker `gpu`).
"""

import contextlib
import dataclasses

import numpy as np
import pytest

import fastemd as fe
from tests.support import fake_libraries, simulator
from tests.support.fake_libraries import from_bfloat16, to_bfloat16
from tests.support.gpu import obstacle


class View:
    """Part of an array on a device, as an unknown library hands it over: by the CUDA array interface."""

    def __init__(self, base, words):
        self.base, self.__cuda_array_interface__ = base, words


class Adapter:
    """The functions of fastemd, called with numpy arrays, computed on a device.

    `to_device` copies a numpy array to the device and `to_host` copies one back; `address` is the address of an array
    on the device, and `bits` copies an array of bfloat16 to the host as uint16.
    """

    def __init__(self, to_device, to_host, address, bits):
        self.to_device, self.to_host, self.address, self.bits = to_device, to_host, address, bits

    def view(self, x, key=(), flip=False):
        """The entries `key` of an array on the device (of its transpose under `flip`), with their strides."""
        base, part = self.to_device(x), (x.T if flip else x)[key]
        offset = part.__array_interface__["data"][0] - x.__array_interface__["data"][0]
        words = {"shape": part.shape, "strides": part.strides, "typestr": part.dtype.str, "version": 3, "stream": None}
        return View(base, words | {"data": (self.address(base) + offset, False)})

    def to_bfloat16(self, x):
        """Numbers as an array of bfloat16 on the device."""
        view = self.view(to_bfloat16(x))
        view.__cuda_array_interface__["typestr"], view.dtype = "<V2", "bfloat16"
        return view

    def from_bfloat16(self, array):
        """The numbers of an array of bfloat16 on the device."""
        return from_bfloat16(self.bits(array))

    def argument(self, x):
        """An argument of a call, its numpy arrays on the device."""
        if isinstance(x, tuple | list) and any(isinstance(part, np.ndarray) for part in x):
            return tuple(map(self.argument, x))
        return self.to_device(x) if isinstance(x, np.ndarray) else x

    def answer(self, x):
        """An answer of a call, its arrays on the host."""
        if dataclasses.is_dataclass(x):
            return dataclasses.replace(x, **{name: self.answer(value) for name, value in vars(x).items()})
        if x is None or isinstance(x, str):
            return x
        return tuple(map(self.answer, x)) if isinstance(x, tuple) else self.to_host(x)

    def __getattr__(self, name):
        function = getattr(fe, name)

        def call(x, y, *positional, **keywords):
            keywords = {key: self.argument(value) for key, value in keywords.items()}
            x, y = self.to_device(np.asarray(x)), self.to_device(np.asarray(y))
            return self.answer(function(x, y, *positional, **keywords))

        return call


@contextlib.contextmanager
def simulated():
    """A device in the simulator, whose arrays look like cupy's."""
    with pytest.MonkeyPatch.context() as monkeypatch, fake_libraries.installed(monkeypatch):
        simulator.install(monkeypatch)
        yield Adapter(
            fake_libraries.CupyArray,
            fake_libraries.host,
            lambda array: array.memory.__array_interface__["data"][0],
            lambda array: array.memory,
        )


@contextlib.contextmanager
def real():
    """The first CUDA device, with numba's own arrays."""
    from fastemd.cuda.primitives.intrinsics import cuda

    def to_host(array):
        return array.copy_to_host()

    yield Adapter(cuda.to_device, to_host, lambda array: array.__cuda_array_interface__["data"][0], to_host)


ADAPTERS = {"simulator": simulated, "gpu": real}


@pytest.fixture(scope="module", params=["simulator", pytest.param("gpu", marks=pytest.mark.gpu)])
def adapter(request):
    """The public functions on a simulated and on a real device."""
    if request.param == "gpu" and obstacle():
        pytest.skip(f"needs a CUDA device: {obstacle()}")
    if request.param == "simulator" and not obstacle():
        pytest.skip("numba simulates a device only where there is none")
    with ADAPTERS[request.param]() as adapter:
        yield adapter
