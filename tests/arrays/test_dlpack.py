"""DLPack: what is borrowed is where its library says, lives as long as it is used, and is given back once."""

import gc
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fastemd.arrays import dlpack
from fastemd.arrays.device import BFLOAT16, DeviceArray, contiguous

CPU = 1


class Old:
    """An array of a library that is older than version 1, which added `max_version`."""

    def __init__(self, memory):
        self.memory = memory

    def __dlpack__(self, stream):
        return self.memory.__dlpack__(stream=stream)


class Capsule:
    """What answers a given capsule."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule


def exported(memory, dtype=None, shape=None):
    array = DeviceArray(
        memory, "jax", memory.ctypes.data, shape or memory.shape, memory.strides, dtype or memory.dtype, 0, 1, True
    )
    return dlpack.Exported(array, CPU)


@pytest.mark.parametrize("wrap", [lambda x: x, Old], ids=["version 1", "older"])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", "float64", "complex64", "bool"])
def test_borrowed_array_is_where_and_what_its_library_says(wrap, dtype):
    memory = np.ones((3, 4, 5), dtype)[::-1, :, ::2]
    found = dlpack.import_array(wrap(memory), None)
    assert found.address == memory.ctypes.data
    assert found.shape == memory.shape
    assert found.strides == tuple(step // memory.itemsize for step in memory.strides)
    word = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}[memory.dtype.kind]
    assert (found.kind, found.bits) == (word, 8 * memory.itemsize)


def test_borrowed_array_of_no_axes_has_no_shape():
    assert dlpack.import_array(np.array(3.0), None).shape == ()


def test_read_only_array_is_borrowed_as_such_since_version_1():
    memory = np.ones(3)
    assert not dlpack.import_array(memory, None).read_only
    memory.flags.writeable = False
    assert dlpack.import_array(memory, None).read_only


@pytest.mark.parametrize("wrap", [lambda x: x, Old], ids=["version 1", "older"])
def test_borrowed_array_lives_until_nobody_uses_it_and_is_given_back_once(wrap):
    memory = np.ones(3)
    before = sys.getrefcount(memory)
    array = wrap(memory)
    found = dlpack.import_array(array, None)
    del array
    again = found
    assert sys.getrefcount(memory) == before + 1
    del found
    assert sys.getrefcount(memory) == before + 1
    del again
    gc.collect()
    assert sys.getrefcount(memory) == before


def test_capsule_that_was_used_or_is_none_of_dlpacks_is_refused():
    capsule = np.ones(3).__dlpack__()
    dlpack.import_array(Capsule(capsule), None)
    with pytest.raises(BufferError, match="no fresh capsule"):
        dlpack.import_array(Capsule(capsule), None)
    with pytest.raises(BufferError, match="no fresh capsule"):
        dlpack.import_array(Capsule(None), None)


def test_structure_of_a_later_major_version_is_given_back_unread(monkeypatch):
    monkeypatch.setattr(dlpack, "MAJOR", 2)
    memory = np.ones(3)
    before = sys.getrefcount(memory)
    with pytest.raises(BufferError, match=r"DLPack 1\.0 came"):
        dlpack.import_array(Capsule(memory.__dlpack__(max_version=(1, 0))), None)
    gc.collect()
    assert sys.getrefcount(memory) == before


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
def test_lent_array_is_read_by_numpy_and_given_back(dtype, shape):
    memory = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    array = np.from_dlpack(exported(memory))
    assert len(dlpack._exported) == 1
    np.testing.assert_array_equal(array, memory, strict=True)
    del array
    assert len(dlpack._exported) == 0


def test_lent_array_with_strides_is_read_by_numpy():
    memory = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    np.testing.assert_array_equal(np.from_dlpack(exported(memory)), memory)


def test_lent_bfloat16_is_borrowed_as_such():
    memory = np.zeros((2, 3), np.uint16)
    found = dlpack.import_array(exported(memory, BFLOAT16), None)
    assert (found.kind, found.bits, found.strides) == ("bfloat", 16, (3, 1))


def test_capsule_that_nobody_takes_is_given_back():
    capsule = exported(np.zeros(3)).__dlpack__()
    assert len(dlpack._exported) == 1
    del capsule
    assert len(dlpack._exported) == 0


def test_lent_array_keeps_the_memory_of_its_owner():
    memory = np.arange(5.0)
    kept = np.from_dlpack(exported(memory))
    count = sys.getrefcount(memory)
    del kept
    assert sys.getrefcount(memory) < count


def test_device_of_what_is_lent_is_its_own():
    array = SimpleNamespace(device=3)
    assert dlpack.Exported(array).__dlpack_device__() == (dlpack.CUDA, 3)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (4, 0, 2), (2, 3, 4)])
def test_contiguous_strides_are_numpys(shape):
    expected = np.empty(shape, np.float32).strides
    assert contiguous(shape, 4) == expected or 0 in shape
