"""The public functions with arrays on a device: numbers are sent there, and answers fetched back.

The CUDA wing is proved twice by the same tests: in numba's simulator, with small blocks, and on a device where there
is one (the marker `gpu`).
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
    """Part of an array on a device, as a library that nobody has heard of would hand it over."""

    def __init__(self, base, words):
        self.base, self.__cuda_array_interface__ = base, words


class Face:
    """The functions of fastemd, called with numpy arrays, computed on a device.

    `there` sends a numpy array to the device, `back` fetches one; `address` tells where an array lies there,
    and `bits` fetches one of bfloat16 as the uint16 that it is in memory.
    """

    def __init__(self, there, back, address, bits):
        self.there, self.back, self.address, self.bits = there, back, address, bits

    def view(self, x, key=(), flip=False):
        """The entries `key` of an array on the device (transposed, where `flip` says so), as they lie in it."""
        base, part = self.there(x), (x.T if flip else x)[key]
        offset = part.__array_interface__["data"][0] - x.__array_interface__["data"][0]
        words = {"shape": part.shape, "strides": part.strides, "typestr": part.dtype.str, "version": 3, "stream": None}
        return View(base, words | {"data": (self.address(base) + offset, False)})

    def halves(self, x):
        """Numbers as an array of bfloat16 on the device."""
        view = self.view(to_bfloat16(x))
        view.__cuda_array_interface__["typestr"], view.dtype = "<V2", "bfloat16"
        return view

    def from_halves(self, array):
        """The numbers of an array of bfloat16, which lie in numba's as uint16."""
        return from_bfloat16(self.bits(array))

    def sent(self, x):
        if isinstance(x, tuple | list) and any(isinstance(part, np.ndarray) for part in x):
            return tuple(map(self.sent, x))
        return self.there(x) if isinstance(x, np.ndarray) else x

    def fetched(self, x):
        if dataclasses.is_dataclass(x):
            return dataclasses.replace(x, **{name: self.fetched(value) for name, value in vars(x).items()})
        if x is None or isinstance(x, str):
            return x
        return tuple(map(self.fetched, x)) if isinstance(x, tuple) else self.back(x)

    def __getattr__(self, name):
        function = getattr(fe, name)

        def call(x, y, *positional, **keywords):
            keywords = {key: self.sent(value) for key, value in keywords.items()}
            answer = function(self.sent(np.asarray(x)), self.sent(np.asarray(y)), *positional, **keywords)
            return self.fetched(answer)

        return call


@contextlib.contextmanager
def simulated():
    """A device in the simulator, whose arrays look like cupy's."""
    with pytest.MonkeyPatch.context() as monkeypatch, fake_libraries.installed(monkeypatch):
        simulator.install(monkeypatch)
        yield Face(
            fake_libraries.CupyArray,
            fake_libraries.host,
            lambda array: array.memory.__array_interface__["data"][0],
            lambda array: array.memory,
        )


@contextlib.contextmanager
def real():
    """The first CUDA device, with numba's own arrays."""
    from fastemd.cuda.primitives.intrinsics import cuda

    def fetched(array):
        return array.copy_to_host()

    yield Face(cuda.to_device, fetched, lambda array: array.__cuda_array_interface__["data"][0], fetched)


FACES = {"simulator": simulated, "gpu": real}


@pytest.fixture(scope="module", params=["simulator", pytest.param("gpu", marks=pytest.mark.gpu)])
def face(request):
    """The public functions on a simulated and on a real device."""
    if request.param == "gpu" and obstacle():
        pytest.skip(f"needs a CUDA device: {obstacle()}")
    if request.param == "simulator" and not obstacle():
        pytest.skip("numba simulates a device only where there is none")
    with FACES[request.param]() as found:
        yield found
