"""What is read of an array on a device, whatever library it is of; and what cannot be read is refused in words."""

import numpy as np
import pytest

from fastemd.arrays import inputs
from fastemd.arrays.device import BFLOAT16
from fastemd.arrays.readers import read
from tests.support.errors import rejects
from tests.support.fake_backend import machine
from tests.support.fake_libraries import (
    BRAIN16,
    MAKERS,
    TORCH_DTYPES,
    CapsuleArray,
    CupyArray,
    InterfaceArray,
    JaxArray,
    NumbaArray,
    TorchDtype,
    TorchTensor,
    bfloat16_array,
    state,
)


@pytest.fixture(autouse=True)
def devices(monkeypatch):
    with machine(monkeypatch) as libraries:
        yield libraries


def address(memory):
    return memory.__array_interface__["data"][0]


LAYOUTS = {
    "C order": lambda x: x,
    "every second column": lambda x: x[:, ::2],
    "columns first": lambda x: x.T,
    "one row for all": lambda x: np.broadcast_to(x[:1], x.shape),
    "one number": lambda x: x[0, 0, ...],
    "no rows": lambda x: x[:0],
}


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8"])
def test_address_shape_strides_and_dtype_are_the_arrays_own(library, layout, dtype):
    memory = LAYOUTS[layout](np.ones((4, 6), dtype))
    owner = MAKERS[library](memory, 1)
    found = read(owner, "a")
    assert found.owner is owner
    assert found.package == library.removeprefix("old ")
    assert found.shape == memory.shape
    assert found.dtype == memory.dtype
    assert found.ndim == memory.ndim
    assert found.size == memory.size
    if memory.size:
        assert found.address == address(memory)
        assert found.strides == memory.strides
        assert found.device == 1
    assert found.stream == 1


@pytest.mark.parametrize("steps", [1, 2])
def test_columns_from_right_to_left_are_read(steps):
    memory = np.ones((4, 6))[:, ::-steps]
    for library in ("cupy", "numba", "capsules"):
        found = read(MAKERS[library](memory), "a")
        assert (found.address, found.strides) == (address(memory), memory.strides)


@pytest.mark.parametrize("library", ["cupy", "torch"])
def test_stream_is_the_one_that_the_library_works_on_now(library):
    owner = MAKERS[library](np.ones(3), 1)
    state.streams[library] = {0: 1111, 1: 2222}
    assert read(owner, "a").stream == 2222
    state.streams[library][1] = 2
    assert read(owner, "a").stream == 2


@pytest.mark.parametrize(("said", "stream"), [(None, 1), (1, 1), (2, 2), (0x7F00, 0x7F00)])
def test_stream_of_the_interface_is_kept(said, stream):
    assert read(InterfaceArray(np.ones(3), stream=said), "a").stream == stream


def test_stream_is_left_out_of_version_2():
    owner = InterfaceArray(np.ones(3), version=2, stream=None)
    assert read(owner, "a").stream == 1


def test_array_by_dlpack_is_made_ready_for_the_legacy_stream():
    read(CapsuleArray(np.ones(3)), "a")
    assert state.streams_asked == [1]


def test_array_in_managed_memory_is_read_by_dlpack(monkeypatch):
    monkeypatch.setattr(CapsuleArray, "kind", 13)
    assert read(CapsuleArray(np.ones(3)), "a").shape == (3,)


@pytest.mark.parametrize("kind", [1, 3, 10])
def test_array_by_dlpack_in_other_memory_is_left_to_others(monkeypatch, kind):
    monkeypatch.setattr(CapsuleArray, "kind", kind)
    assert read(CapsuleArray(np.ones(3)), "a") is None
    assert state.streams_asked == []


def test_bfloat16_of_each_library_is_the_one_bfloat16():
    memory = np.zeros(3, np.uint16)
    owners = [
        bfloat16_array(np.zeros(3), "cupy"),
        bfloat16_array(np.zeros(3), "torch"),
        NumbaArray(memory, dtype=BFLOAT16),
        InterfaceArray(memory, typestr="bfloat16"),
    ]
    for owner in owners:
        assert read(owner, "a").dtype is BFLOAT16
    rejects(TypeError, lambda: read(InterfaceArray(np.zeros(3, "V2")), "a"), "a", "dtype |V2", "bfloat16")


def test_bfloat16_is_what_other_libraries_call_so():
    named = np.dtype([("x", "<u2")])
    assert named != BFLOAT16
    assert np.dtype(np.float16) != BFLOAT16
    assert BFLOAT16.newbyteorder("=") == BFLOAT16
    assert hash(BFLOAT16) == hash(BFLOAT16.newbyteorder())
    assert (BFLOAT16.kind, BFLOAT16.itemsize, str(BFLOAT16)) == ("f", 2, "bfloat16")
    assert BFLOAT16.eps == 2.0**-7
    assert str(BRAIN16) == BFLOAT16.name


@pytest.mark.parametrize("library", ["cupy", "torch"])
def test_class_that_inherits_from_a_librarys_is_read_as_the_librarys(library):
    base = MAKERS[library]
    kind = type("Mine", (base,), {"__module__": "mine"})
    assert read(kind(np.ones(3)), "a").package == library


def test_read_only_arrays_are_known_as_such():
    memory = np.ones(3)
    assert read(InterfaceArray(memory), "a").writeable
    assert read(CapsuleArray(memory), "a").writeable
    assert not read(JaxArray(memory), "a").writeable
    memory.flags.writeable = False
    assert not read(InterfaceArray(memory), "a").writeable
    assert not read(CapsuleArray(memory), "a").writeable


@pytest.mark.parametrize("x", [1.0, [1.0], (1,), "x", None, np.float32(1), object(), TorchTensor])
def test_what_lies_on_no_device_is_left_to_others(x):
    assert read(x, "a") is None


def test_tensor_in_host_memory_is_left_to_others():
    assert read(TorchTensor(np.ones(3), is_cuda=False), "a") is None


def test_jax_array_that_is_spread_over_devices_is_left_to_others(monkeypatch):
    def refuse(_):
        raise BufferError("__dlpack__ only supported for unsharded arrays.")

    monkeypatch.setattr(JaxArray, "__dlpack_device__", refuse)
    assert read(JaxArray(np.ones(3)), "a") is None


@pytest.mark.parametrize(
    ("kind", "make", "parts"),
    [
        (TypeError, lambda x: TorchTensor(x, requires_grad=True), ("requires grad", "a.detach()", "emd_loss")),
        (TypeError, lambda x: TorchTensor(x, layout="sparse"), ("of layout sparse", "a.to_dense()")),
        (TypeError, lambda x: TorchTensor(x, neg=True), ("with the other sign", "a.resolve_neg()")),
        (TypeError, lambda x: TorchTensor(x, dtype=TORCH_DTYPES["float8_e4m3fn"]), ("torch.float8_e4m3fn", "float16")),
        (TypeError, lambda x: TorchTensor(x, dtype=TorchDtype("void32")), ("torch.void32", "float16")),
        (TypeError, lambda x: InterfaceArray(x, version=1), ("is of version 1", "2 or 3", "tensors")),
        (TypeError, lambda x: InterfaceArray(x, mask=object()), ("a is a masked array",)),
        (ValueError, lambda x: InterfaceArray(x, stream=0), ("names stream 0", "1 for the legacy default stream")),
        (TypeError, lambda x: InterfaceArray(x, typestr=">f8"), ("dtype >f8", "other order")),
        (TypeError, lambda x: InterfaceArray(x, typestr="<f3"), ("dtype <f3",)),
        (ValueError, lambda x: InterfaceArray(x, data=(12345, False)), ("0x3039", "no CUDA device here")),
        (ValueError, lambda x: CupyArray(x.view(np.uint8)[4:12].view("f8")), ("not aligned", "8 bytes", "copy")),
        (ValueError, lambda x: InterfaceArray(x, strides=(12,)), ("not aligned", "(12,) bytes apart")),
        (ValueError, lambda x: CupyArray(x, 2), ("CUDA device 2 (cupy.ndarray)", "that is gone: 2 are there")),
        (ValueError, lambda x: TorchTensor(x, 7), ("CUDA device 7 (torch.Tensor)", "that is gone")),
    ],
)
def test_array_that_cannot_be_read_is_refused_with_a_mend(kind, make, parts):
    rejects(kind, lambda: read(make(np.ones(3)), "a"), "a", *parts)


@pytest.mark.parametrize("library", MAKERS)
def test_without_cuda_the_reason_is_told(monkeypatch, library):
    with machine(monkeypatch, available=False, reason="no driver was found"):
        owner = MAKERS[library](np.ones(3))
        rejects(RuntimeError, lambda: read(owner, "b"), "b lies on a CUDA device", "no driver was found", ".get()")


@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("pack", [lambda x: [x, x], lambda x: (x,), lambda x: [[x], [x]]])
def test_list_of_arrays_on_a_device_is_refused(library, pack):
    packed = pack(MAKERS[library](np.ones(3)))
    rejects(TypeError, lambda: inputs.as_array(packed, "a"), "of arrays on a CUDA device", "torch.stack")


def test_array_of_alone_takes_no_array_on_a_device():
    owner = CupyArray(np.ones(3))
    rejects(TypeError, lambda: inputs.host_array(owner, "cost"), "cost lies on CUDA device 0 (cupy.ndarray)", "get()")
