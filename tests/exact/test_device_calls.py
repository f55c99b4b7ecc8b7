"""Every public function on arrays of every library: a backend gets them as they are, and answers are of the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.errors import rejects
from tests.support.fake_backend import machine
from tests.support.fake_libraries import (
    ANSWERS,
    MAKERS,
    CupyArray,
    NumbaArray,
    TorchTensor,
    bfloat16_array,
    from_bfloat16,
    host,
    state,
)
from tests.support.kernel_problems import INTEGERS, answer_dtype, calls, exponents, sentinels

LIBRARIES = st.sampled_from(sorted(MAKERS))
HALVES = ("cupy", "torch")
MASSES = ("equal", "normalize", "root")


@pytest.fixture(autouse=True, scope="module")
def devices():
    with pytest.MonkeyPatch.context() as monkeypatch, machine(monkeypatch) as libraries:
        yield libraries


def is_answer(got, library, expected, dtype, device=0):
    """Assert that an array is of the library's kind, lies on the device, and holds what is expected, rounded once."""
    assert type(got) is ANSWERS.get(library, NumbaArray)
    assert got.ordinal == device
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(host(got), np.asarray(expected).astype(dtype), strict=True)


def as_row(x):
    """Bytes of an array, to see that a call leaves them."""
    return x.memory.tobytes()


@settings(max_examples=150)
@given(calls(policies=MASSES), LIBRARIES, exponents, st.sampled_from([0, 1]))
def test_value_is_the_references_in_the_callers_library_and_on_its_device(call, library, rho, device):
    space, a, b, mass = call
    x, y = (MAKERS[library](z, device) for z in (a, b))
    before = as_row(x), as_row(y)
    value = fe.emd(x, y, space, rho=rho, mass=mass)
    is_answer(value, library, reference.emd(a, b, space, rho=rho, mass=mass), answer_dtype(a), device)
    assert (as_row(x), as_row(y)) == before


@settings(max_examples=150)
@given(calls(policies=MASSES), LIBRARIES, exponents, st.booleans(), st.sampled_from(["a", "b", "length"]))
def test_gradient_is_the_references(call, library, rho, centred, wrt):
    space, a, b, mass = call
    x, y = (MAKERS[library](z) for z in (a, b))
    options = {"rho": rho, "centred": centred, "mass": mass}
    value, grad = fe.emd_value_and_grad(x, y, space, wrt=wrt, **options)
    expected_value, expected = reference.emd_value_and_grad(a, b, space, wrt=wrt, **options)
    is_answer(value, library, expected_value, answer_dtype(a))
    is_answer(grad, library, expected, answer_dtype(a))


@given(calls(policies=MASSES), LIBRARIES, exponents)
def test_both_gradients_are_those_of_each(call, library, rho):
    space, a, b, mass = call
    x, y = (MAKERS[library](z) for z in (a, b))
    _, (by_a, by_b) = fe.emd_value_and_grad(x, y, space, wrt="both", rho=rho, mass=mass)
    _, (expected_a, expected_b) = reference.emd_value_and_grad(a, b, space, wrt="both", rho=rho, mass=mass)
    is_answer(by_a, library, expected_a, answer_dtype(a))
    is_answer(by_b, library, expected_b, answer_dtype(a))


@given(calls(policies=MASSES), LIBRARIES, exponents, st.booleans())
def test_flow_and_potential_are_the_references(call, library, rho, centred):
    space, a, b, mass = call
    x, y = (MAKERS[library](z) for z in (a, b))
    is_answer(fe.flow(x, y, space, mass=mass), library, reference.flow(a, b, space, mass=mass), answer_dtype(a))
    options = {"rho": rho, "centred": centred, "mass": mass}
    expected = reference.potential(a, b, space, **options)
    is_answer(fe.potential(x, y, space, **options), library, expected, answer_dtype(a))


@given(st.data(), LIBRARIES, exponents, st.sampled_from(INTEGERS), st.booleans())
def test_logits_with_classes_of_any_width_or_with_histograms(data, library, rho, integer, soft):
    space, target, _, _ = data.draw(calls(dtype="float32"))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    z = rng.standard_normal(target.shape).astype(np.float32)
    classes = rng.integers(0, space.n, target.shape[:-1]).astype(integer)
    aim = np.eye(space.n, dtype=np.float32)[classes.astype(int)] if soft else classes
    value, grad = fe.emd_with_logits(MAKERS[library](z), MAKERS[library](aim), space, rho=rho)
    expected_value, expected = reference.emd_with_logits(z, aim, space, rho=rho)
    is_answer(value, library, expected_value, np.float32)
    is_answer(grad, library, expected, np.float32)


@pytest.mark.parametrize("library", HALVES)
@given(data=st.data(), rho=exponents)
def test_bfloat16_comes_in_and_goes_out(library, data, rho):
    space, a, b, _ = data.draw(calls(dtype="float16"))
    x, y = bfloat16_array(a, library), bfloat16_array(b, library)
    read_a, read_b = from_bfloat16(x.memory), from_bfloat16(y.memory)
    value, grad = fe.emd_value_and_grad(x, y, space, rho=rho, mass="normalize", check=False)
    expected_value, expected = reference.emd_value_and_grad(
        *(np.where(np.isfinite(z), z, 0) for z in (read_a, read_b)), space, rho=rho, mass="normalize"
    )
    assert value.dtype is x.dtype
    assert grad.dtype is x.dtype
    for got, wanted in ((value, expected_value), (grad, expected)):
        np.testing.assert_array_equal(host(got), from_bfloat16(bfloat16_array(wanted, library).memory))


def test_answer_to_one_pair_is_an_array_without_axes():
    for library in MAKERS:
        x = MAKERS[library](np.array([1.0, 0.0, 0.0]))
        value = fe.emd(x, MAKERS[library](np.array([0.0, 0.0, 1.0])), Chain(3))
        is_answer(value, library, 2.0, np.float64)
        assert value.shape == ()


def test_no_rows_are_answered_with_no_rows():
    for library in ("cupy", "torch", "numba"):
        x = MAKERS[library](np.ones((0, 3), np.float32))
        value, grad = fe.emd_value_and_grad(x, x, Chain(3))
        assert (value.shape, grad.shape) == ((0,), (0, 3))
        assert type(value) is type(grad) is MAKERS[library]


# --- out= -------------------------------------------------------------------------------------------------------------

WRITING = [fe.emd_value_and_grad, fe.flow, fe.potential]


@pytest.mark.parametrize("function", WRITING)
@pytest.mark.parametrize("library", ["cupy", "torch", "numba", "tensors", "capsules"])
@pytest.mark.parametrize("beside", ["cupy", "torch", "numba"])
def test_answer_is_written_into_out_and_out_is_returned_whatever_library_it_is_of(function, library, beside):
    a, b = np.eye(4, 3, dtype=np.float32), np.eye(4, 3, k=0, dtype=np.float32)[:, ::-1]
    a[3], b[3] = 1, 1
    space = Ring(3)
    memory = sentinels((4, 6), np.float32)
    out = MAKERS[library](memory[:, ::2])
    found = function(MAKERS[beside](a), MAKERS[beside](b), space, out=out)
    assert (found[1] if isinstance(found, tuple) else found) is out
    expected = function(a, b, space)
    np.testing.assert_allclose(memory[:, ::2], expected[1] if isinstance(expected, tuple) else expected, rtol=1e-6)
    np.testing.assert_array_equal(memory[:, 1::2], -77)


def test_out_of_both_gradients_and_of_logits_is_written_and_returned():
    a = CupyArray(np.eye(3))
    outs = CupyArray(np.zeros((3, 3))), CupyArray(np.zeros((3, 3)))
    _, both = fe.emd_value_and_grad(a, CupyArray(np.eye(3)[::-1].copy()), Chain(3), wrt="both", out=outs)
    assert both[0] is outs[0]
    assert both[1] is outs[1]
    np.testing.assert_array_equal(outs[0].memory, -outs[1].memory)
    out = TorchTensor(np.zeros((3, 3)))
    _, grad = fe.emd_with_logits(TorchTensor(np.eye(3)), TorchTensor(np.arange(3)), Chain(3), out=out)
    assert grad is out
    assert np.any(out.memory)


# --- Bad rows ---------------------------------------------------------------------------------------------------------

SPACES = [Chain(3), Ring(3), Tree([-1, 0, 0], [0, 1, 1])]
FUNCTIONS = [fe.emd, fe.emd_value_and_grad, fe.flow, fe.potential, fe.check]


def message(function, *arguments):
    with pytest.raises(ValueError) as error:
        function(*arguments)
    return str(error.value)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("library", MAKERS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0, 9.0])
def test_bad_row_is_named_as_it_is_in_host_memory(function, library, poison):
    a, b = np.ones((2, 4, 3), np.float32), np.ones((4, 3), np.float32)
    a[1, 2, 1] = poison
    for space in SPACES:
        x, y = MAKERS[library](a), MAKERS[library](b)
        assert message(function, x, y, space) == message(function, a, b, space)


@pytest.mark.parametrize("library", MAKERS)
def test_bad_logits_are_named_as_they_are_in_host_memory(library):
    z = np.zeros((4, 3), np.float32)
    classes = np.array([0, 2, 3, 1])
    x, y = MAKERS[library](z), MAKERS[library](classes)
    text = message(fe.emd_with_logits, x, y, Chain(3))
    assert text == message(fe.emd_with_logits, z, classes, Chain(3))
    assert "target[2] (row 2) is class 3" in text


def test_bad_bfloat16_is_named():
    a, b = bfloat16_array(np.array([[1.0, np.nan]]), "torch"), bfloat16_array(np.array([[0.5, 0.5]]), "torch")
    assert "a[0, 1] is nan (row 0, bin 1)" in message(fe.emd, a, b, Chain(2))
    value, grad = fe.emd_value_and_grad(a, b, Chain(2), check=False)
    assert np.isnan(host(value)).all()
    assert np.isnan(host(grad)).all()


def test_unchecked_call_reads_nothing_back(monkeypatch, devices):
    def refuse(_):
        raise AssertionError("the host has read an array")

    devices.synchronized.clear()
    with monkeypatch.context() as patch:
        patch.setattr("fastemd.arrays.driver.to_host", refuse)
        a = CupyArray(np.array([[1.0, np.nan], [1.0, 0.0]]))
        value, grad = fe.emd_value_and_grad(a, CupyArray(np.array([0.0, 1.0])), Chain(2), check=False)
        fe.emd_value_and_grad(a, a, Chain(2), check=False, wrt="both", out=(grad, CupyArray(np.ones((2, 2)))))
        fe.emd_with_logits(a, CupyArray(np.array([0, 9])), Chain(2), check=False)
    assert devices.synchronized == []
    np.testing.assert_array_equal(value.memory, [np.nan, 1.0])


def test_kernel_on_borrowed_memory_is_waited_for_lest_its_lender_uses_it_anew(devices):
    devices.synchronized.clear()
    for library in MAKERS:
        fe.emd(MAKERS[library](np.ones(2), 1), MAKERS[library](np.ones(2), 1), Chain(2), check=False)
    assert devices.synchronized == [(1, 1)] * 3  # capsules, old capsules, jax
    devices.synchronized.clear()


# --- Out of memory, and what stays in host memory ---------------------------------------------------------------------


@pytest.mark.parametrize("library", ["cupy", "torch", "numba", "tensors"])
def test_want_of_memory_is_told_with_the_size_and_the_next_call_is_answered(library):
    x = MAKERS[library](np.ones((500, 3), np.float32), 1)
    state.bytes_left = 3000
    with pytest.raises(MemoryError) as error:
        fe.potential(x, x, Chain(3))
    for part in ("CUDA device 1", "6,000 bytes", "5.59e-06 GiB", "(500, 3), float32", "Needed: ", "out="):
        assert part in str(error.value)
    assert type(error.value) is MemoryError
    state.bytes_left = None
    assert fe.potential(x, x, Chain(3)).shape == (500, 3)


def test_other_errors_of_a_library_go_through_as_they_are(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    x = TorchTensor(np.ones(3))
    monkeypatch.setattr("torch.empty", refuse)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        fe.emd(x, x, Chain(3))


@pytest.mark.parametrize(
    ("library", "mend"),
    [
        ("cupy", "try a.get()"),
        ("torch", "try a.cpu().numpy()"),
        ("numba", "try a.copy_to_host()"),
        ("jax", "try numpy.asarray(a)"),
        ("tensors", "try cupy.asarray(a).get()"),
    ],
)
def test_plan_is_for_host_memory(library, mend):
    x = MAKERS[library](np.ones(3))
    rejects(TypeError, lambda: fe.plan(x, x, Chain(3)), "a lies on CUDA device 0", "scipy", mend)


def test_check_reads_arrays_on_a_device_and_has_nothing_to_say_about_good_ones():
    for library in MAKERS:
        x = MAKERS[library](np.ones((2, 3)))
        assert fe.check(x, x, Chain(3)) is None


def test_empty_rows_are_nan_on_a_device_and_never_zero():
    a, b = CupyArray(np.array([[0.0, 0.0], [1.0, 0.0]])), CupyArray(np.array([[0.0, 1.0], [0.0, 1.0]]))
    np.testing.assert_array_equal(host(fe.emd(a, b, Chain(2), mass="normalize", empty="nan")), [np.nan, 1.0])
    rejects(ValueError, lambda: fe.emd(a, b, Chain(2), mass="normalize", empty="zero"), "'zero'", "'raise' or 'nan'")
