"""Arrays that do not lie together, dtypes and outputs: refused with the mend in the words of the array's library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd.arrays import inputs, placement
from fastemd.arrays.device import BFLOAT16
from fastemd.arrays.readers import read
from fastemd.spaces import Chain, Ring
from tests.support.errors import rejects
from tests.support.fake_backend import machine
from tests.support.fake_libraries import (
    MAKERS,
    CapsuleArray,
    CupyArray,
    InterfaceArray,
    JaxArray,
    NumbaArray,
    TorchTensor,
    bfloat16_array,
)

ONE = np.array([1.0, 0.0, 0.0])
PAIRED = [fe.emd, fe.emd_value_and_grad, fe.flow, fe.potential, fe.check, fe.plan]


@pytest.fixture(autouse=True, scope="module")
def devices():
    with pytest.MonkeyPatch.context() as monkeypatch, machine(monkeypatch) as libraries:
        yield libraries


WORDS = {
    "cupy": ("cupy.ndarray", "b = cupy.asarray(b)", "a = a.get()"),
    "torch": ("torch.Tensor", "b = torch.as_tensor(b, device='cuda:1')", "a = a.cpu().numpy()"),
    "numba": ("numba.DeviceNDArray", "b = numba.cuda.to_device(b)", "a = a.copy_to_host()"),
    "jax": ("jax.ArrayImpl", "b = jax.numpy.asarray(b)", "a = numpy.asarray(a)"),
    "tensors": ("tensors.Array", "b = cupy.asarray(b)", "a = cupy.asarray(a).get()"),
}


@pytest.mark.parametrize("function", PAIRED)
@pytest.mark.parametrize("library", WORDS)
def test_host_memory_and_a_device_do_not_mix(function, library):
    x = MAKERS[library](ONE, 1)
    kind, sent, fetched = WORDS[library]
    there = f"on CUDA device 1 ({kind})"
    host = "in host memory (numpy.ndarray)"
    rejects(TypeError, lambda: function(x, ONE, Chain(3)), f"a lies {there} and b {host}", sent, fetched)
    rejects(TypeError, lambda: function(x, [1, 0, 0], Chain(3)), f"a lies {there} and b {host}", sent, fetched)
    text = f"a lies {host} and b {there}"
    other_way = [part.translate(str.maketrans("ab", "ba")) for part in (sent[:2], fetched[:2])]
    rejects(TypeError, lambda: function(ONE, x, Chain(3)), text, *(f"try {other_way[0]}", f"or {other_way[1]}"))


def test_bfloat16_is_fetched_as_float32():
    x = bfloat16_array(ONE, "torch")
    rejects(TypeError, lambda: fe.emd(x, ONE, Chain(3)), "a = a.float().cpu().numpy()")


def test_logits_and_targets_do_not_mix_either():
    z, classes = CupyArray(np.eye(3)), np.arange(3)
    rejects(TypeError, lambda: fe.emd_with_logits(z, classes, Chain(3)), "logits lies on", "target in host", "= cupy")
    rejects(TypeError, lambda: fe.emd_with_logits(z, 0, Chain(3)), "logits lies on CUDA device 0", "target in host")
    device_classes = TorchTensor(classes)
    rejects(TypeError, lambda: fe.emd_with_logits(np.eye(3), device_classes, Chain(3)), "target on CUDA device 0")


@pytest.mark.parametrize(
    ("library", "mend"),
    [
        ("cupy", "with cupy.cuda.Device(0): b = cupy.asarray(b)"),
        ("torch", "b = b.to('cuda:0')"),
        ("jax", "b = jax.device_put(b, jax.devices()[0])"),
    ],
)
def test_two_devices_do_not_mix(library, mend):
    a, b = CupyArray(ONE, 0), MAKERS[library](ONE, 1)
    text = "a lies on CUDA device 0 (cupy.ndarray) and b on CUDA device 1"
    rejects(ValueError, lambda: fe.emd(a, b, Chain(3)), text, mend)


def test_two_libraries_go_together_on_one_stream():
    a, b = CupyArray(ONE), TorchTensor(ONE[::-1].copy())
    assert type(fe.emd(a, b, Chain(3))) is CupyArray
    assert type(fe.emd(b, a, Chain(3))) is TorchTensor


def test_two_streams_do_not_mix(devices):
    a, b = CupyArray(ONE), TorchTensor(ONE)
    c, d = InterfaceArray(ONE, stream=77), NumbaArray(ONE)
    devices.streams["torch"][0] = 0xABC
    try:
        text = "a (cupy.ndarray) is used on stream 0x1 and b (torch.Tensor) on stream 0xabc"
        rejects(ValueError, lambda: fe.emd(a, b, Chain(3)), text, "with cupy.cuda.ExternalStream(0xabc):")
        rejects(ValueError, lambda: fe.emd(d, b, Chain(3)), "torch.cuda.stream(torch.cuda.ExternalStream(0x1)):")
        rejects(ValueError, lambda: fe.emd(c, d, Chain(3)), "stream 0x4d", "synchronize")
        rejects(ValueError, lambda: fe.flow(a, a, Ring(3), out=b), "a (cupy.ndarray)", "and out (torch.Tensor)")
    finally:
        devices.streams["torch"].clear()


@pytest.mark.parametrize(
    ("make", "dtype", "mend"),
    [
        (CupyArray, "complex64", "try a.real"),
        (CupyArray, "longdouble", "try a.astype('float64')"),
        (TorchTensor, "complex64", "try a.real"),
        (TorchTensor, "bool", "try a.to(torch.float64)"),
        (CapsuleArray, "bool", "try cupy.asarray(a).astype('float64')"),
        (NumbaArray, "V2", "bfloat16, float32, float64 or integers; convert it first"),  # by the reader
    ],
)
def test_what_are_no_numbers_is_refused(make, dtype, mend):
    x = make(np.zeros(3, dtype))
    rejects(TypeError, lambda: fe.emd(x, x, Chain(3)), f"a has dtype {np.dtype(dtype)}", mend)


def test_integers_are_no_logits():
    z = TorchTensor(np.eye(3, dtype=np.int64))
    rejects(TypeError, lambda: fe.emd_with_logits(z, z, Chain(3)), "has dtype int64", "logits.to(torch.float32)")


def test_shapes_and_dtypes_are_looked_at_as_in_host_memory():
    x = CupyArray(np.ones((2, 4), np.float32))
    rejects(ValueError, lambda: fe.emd(x, x, Chain(3)), "a has shape (2, 4)", "Needed: 3")
    rejects(ValueError, lambda: fe.emd(CupyArray(np.array(1.0)), x, Chain(3)), "a is a single number")
    y = CupyArray(np.ones((3, 4), np.float32))
    rejects(ValueError, lambda: fe.emd(x, y, Chain(4)), "a has leading axes (2,) and b has (3,)")
    z = CupyArray(np.ones((2, 4)))
    rejects(TypeError, lambda: fe.emd(x, z, Chain(4)), "a has dtype float32 and b has dtype float64", "b.astype(a.dt")
    half, tensor = bfloat16_array(np.ones(4), "torch"), TorchTensor(np.ones(4, np.float16))
    rejects(TypeError, lambda: fe.emd(half, tensor, Chain(4)), "bfloat16 and b has dtype float16", "b.to(a.dtype)")
    integers = CupyArray(np.ones((2, 4), np.int8)), CupyArray(np.ones((2, 4), np.uint64))
    assert fe.emd(*integers, Chain(4)).dtype == np.float64


def test_bfloat16_has_a_tolerance_of_its_own():
    assert inputs.tolerance(BFLOAT16, BFLOAT16, 10**9) == pytest.approx(4 * 2.0**-7)
    assert inputs.tolerance(np.dtype(np.float32), BFLOAT16, 3) == inputs.tolerance(BFLOAT16, BFLOAT16, 3)


# --- out= -------------------------------------------------------------------------------------------------------------


def read_only(memory):
    memory.flags.writeable = False
    return memory


@pytest.mark.parametrize("function", [fe.emd_value_and_grad, fe.flow, fe.potential])
@pytest.mark.parametrize(
    ("kind", "make", "parts"),
    [
        (
            TypeError,
            lambda x: x,
            ("out is of type ndarray", "a lies on CUDA device 0", "(2, 3), float64", "cupy.empty"),
        ),
        (TypeError, lambda x: [[0.0] * 3] * 2, ("out is of type list", "cupy.empty")),
        (TypeError, lambda x: CupyArray(x.astype("f4")), ("out has dtype float32", "float64")),
        (TypeError, lambda x: bfloat16_array(x, "cupy"), ("out has dtype bfloat16", "float64")),
        (ValueError, lambda x: CupyArray(x.T), ("out has shape (3, 2)", "(2, 3)")),
        (ValueError, lambda x: InterfaceArray(read_only(x)), ("out is read-only", "copy")),
        (ValueError, lambda x: CapsuleArray(read_only(x)), ("out is read-only", "copy")),
        (TypeError, JaxArray, ("out is a jax array", "cannot be written to")),
        (ValueError, lambda x: CupyArray(x, 1), ("a lies on CUDA device 0", "out on CUDA device 1", "Device(0)")),
        (TypeError, lambda x: TorchTensor(x, requires_grad=True), ("out is a torch tensor that requires grad",)),
    ],
)
def test_out_that_cannot_hold_the_answer_is_refused(function, kind, make, parts):
    a = CupyArray(np.ones((2, 3)))
    rejects(kind, lambda: function(a, a, Ring(3), out=make(np.zeros((2, 3)))), *parts)


@pytest.mark.parametrize(
    ("library", "mend"),
    [("torch", "torch.empty(shape, dtype=..., device='cuda:0')"), ("numba", "numba.cuda.device_array")],
)
def test_out_in_host_memory_is_refused_with_what_makes_one(library, mend):
    a = MAKERS[library](np.ones((2, 3)))
    rejects(TypeError, lambda: fe.flow(a, a, Chain(3), out=np.ones((2, 2))), "out is of type ndarray", mend)


def test_out_on_a_device_for_arrays_in_host_memory_is_refused():
    out = CupyArray(np.zeros(3))
    text = "a lies in host memory (numpy.ndarray) and out on CUDA device 0 (cupy.ndarray)"
    rejects(TypeError, lambda: fe.potential(ONE, ONE, Chain(3), out=out), text, "out = out.get()")


def test_out_that_overlaps_an_input_is_refused_and_the_input_stays():
    memory = np.ones((5, 3))
    a, out = CupyArray(memory[:2]), CupyArray(memory[1:3])
    b = CupyArray(np.ones((2, 3)))
    rejects(ValueError, lambda: fe.potential(a, b, Chain(3), out=out), "out overlaps a in memory")
    rejects(ValueError, lambda: fe.potential(b, a, Chain(3), out=out), "out overlaps b in memory")
    z = CupyArray(memory[:3])
    rejects(ValueError, lambda: fe.emd_with_logits(z, CupyArray(np.arange(3)), Chain(3), out=z), "out overlaps logits")
    np.testing.assert_array_equal(memory, 1.0)
    both = CupyArray(memory[2:4]), CupyArray(memory[3:])
    rejects(ValueError, lambda: fe.emd_value_and_grad(b, b, Chain(3), wrt="both", out=both), "out[1] overlaps out[0]")


@st.composite
def windows(draw):
    """Two views of one array, with steps of either sign."""
    memory = np.zeros((6, 8), np.float32)

    def window():
        cut = []
        for size in memory.shape:
            first, last = sorted((draw(st.integers(0, size)), draw(st.integers(0, size))))
            cut.append(slice(first, last, draw(st.integers(1, 3))))
        view = memory[tuple(cut)]
        return view[:: draw(st.sampled_from([1, -1])), :: draw(st.sampled_from([1, -1]))]

    return window(), window()


@given(windows())
def test_overlap_is_numpys(pair):
    x, y = pair
    found = placement.overlap(*(read(CupyArray(z), "a") for z in (x, y)))
    assert found == np.shares_memory(x, y)


def test_arrays_whose_overlap_is_hard_to_know_are_taken_to_overlap(monkeypatch):
    def too_hard(*_, **__):
        raise np.exceptions.TooHardError

    monkeypatch.setattr(np, "shares_memory", too_hard)
    memory = np.ones((2, 6))
    a, out = CupyArray(memory[:, ::2]), CupyArray(memory[:, 1::2])
    rejects(ValueError, lambda: fe.potential(a, a, Chain(3), out=out), "out overlaps a")
