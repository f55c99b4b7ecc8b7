"""Where the numbers lie in memory, what stands beside a row, and how many threads work changes no bit of an answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastemd as fe
from fastemd import threads
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import FLOATS, INTEGERS, calls, exponents, sentinels


def unaligned(x):
    """The same numbers, one byte off."""
    memory = np.empty(x.nbytes + 1, np.uint8)[1:]
    view = memory.view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def spread(x):
    """The same numbers in every second column and row of a larger array, with NaN (or ones) between."""
    wide = np.full(tuple(2 * size for size in x.shape), np.nan if x.dtype.kind == "f" else 1, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def transposed(x):
    """The same numbers with the bins as the slowest axis."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -1, 0)), 0, -1)


LAYOUTS = {
    "every second column": spread,
    "reversed columns": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "reversed rows": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "Fortran order": np.asfortranarray,
    "transposed": transposed,
    "swapped bytes": lambda x: x.astype(x.dtype.newbyteorder("S")),
    "unaligned": unaligned,
    "read-only": read_only,
    "a subclass": lambda x: x.view(type("Subclass", (np.ndarray,), {})),
}
WRITABLE = [name for name in LAYOUTS if name not in ("swapped bytes", "read-only")]
SHAPES = (((3,), (3,)), ((11,), ()), ((3, 1), (4,)), ((2, 1, 3), (4, 1)), ((), ()))


def answers(a, b, space, rho):
    """Everything that is said about a and b."""
    value, (by_a, by_b) = fe.emd_value_and_grad(a, b, space, rho=rho, wrt="both")
    by_length = fe.emd_value_and_grad(a, b, space, rho=rho, wrt="length")[1]
    loose = fe.emd_value_and_grad(a, b, space, rho=rho, mass="normalize", centred=False)[1]
    return {
        "emd": fe.emd(a, b, space, rho=rho),
        "value": value,
        "by a": by_a,
        "by b": by_b,
        "by length": by_length,
        "flow": fe.flow(a, b, space),
        "normalized": loose,
    }


def same(first, second):
    for name, answer in first.items():
        np.testing.assert_array_equal(second[name], answer, err_msg=name, strict=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25)
@given(data=st.data(), rho=st.sampled_from([1, 2, 1.5]))
def test_layout_of_the_inputs_changes_no_bit_and_inputs_stay_as_they_are(layout, data, rho):
    space, a, b, _ = data.draw(calls(batches=SHAPES if layout != "reversed rows" else SHAPES[:1]))
    laid_a, laid_b = LAYOUTS[layout](a), LAYOUTS[layout](b)
    before = laid_a.tobytes(), laid_b.tobytes()
    expected = answers(a, b, space, rho)
    same(expected, answers(laid_a, laid_b, space, rho))
    same(expected, answers(laid_a, b, space, rho))
    same(expected, answers(a, laid_b, space, rho))
    assert (laid_a.tobytes(), laid_b.tobytes()) == before


@pytest.mark.parametrize("layout", WRITABLE)
@settings(max_examples=25)
@given(data=st.data(), rho=st.sampled_from([1, 2]))
def test_layout_of_out_changes_no_bit(layout, data, rho):
    space, a, b, _ = data.draw(calls(batches=SHAPES if layout != "reversed rows" else SHAPES[:1]))
    expected = fe.emd_value_and_grad(a, b, space, rho=rho)[1]
    out = LAYOUTS[layout](sentinels(expected.shape, expected.dtype))
    assert fe.emd_value_and_grad(a, b, space, rho=rho, out=out)[1] is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nothing_is_written_beside_out(dtype):
    rng = np.random.default_rng(1)
    a = rng.integers(1, 9, (11, 13)).astype(dtype)
    for columns in (slice(1, 14), slice(2, 28, 2), slice(13, 0, -1)):
        frame = np.full((13, 30), -77, dtype)
        fe.potential(a, a[::-1], Chain(13), out=frame[1:12, columns], mass="normalize")
        frame[1:12, columns] = -77
        np.testing.assert_array_equal(frame, -77)


@given(calls(batches=(((7,), (7,)),)), exponents)
def test_a_broadcast_row_is_answered_as_its_copies(call, rho):
    space, a, b, _ = call
    b = b[:1]
    same(answers(a, np.repeat(b, 7, axis=0), space, rho), answers(a, b, space, rho))
    same(answers(a, np.repeat(b, 7, axis=0), space, rho), answers(a, np.broadcast_to(b, a.shape), space, rho))
    same(answers(np.repeat(b, 7, axis=0), a, space, rho), answers(b, a, space, rho))


@given(calls(batches=(((13,), (13,)),)), exponents, st.integers(0, 12))
def test_rows_bits_do_not_depend_on_the_rows_beside_it(call, rho, row):
    space, a, b, _ = call
    together = answers(a, b, space, rho)
    alone = answers(a[row], b[row], space, rho)
    last = answers(a[row::-1], b[row::-1], space, rho)
    for name, answer in together.items():
        np.testing.assert_array_equal(alone[name], answer[row], err_msg=name, strict=True)
        np.testing.assert_array_equal(last[name], answer[row::-1], err_msg=name, strict=True)


@given(calls(dtype="float32", batches=(((13,), (13,)),)), exponents, st.sampled_from([np.nan, np.inf, -1.0]))
def test_rows_bits_do_not_depend_on_a_bad_row_beside_it(call, rho, poison):
    space, a, b, _ = call
    value, grad = fe.emd_value_and_grad(a, b, space, rho=rho)
    a[5, -1] = poison
    with_bad, grad_with_bad = fe.emd_value_and_grad(a, b, space, rho=rho, check=False)
    good = np.arange(13) != 5
    np.testing.assert_array_equal(with_bad[good], value[good])
    np.testing.assert_array_equal(grad_with_bad[good], grad[good])


@pytest.mark.parametrize(
    "space", [Chain(1000), Ring(1000), Tree(np.maximum((np.arange(1000) - 1) // 3, -1), np.ones(1000))]
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_number_of_threads_changes_no_bit(space, dtype, monkeypatch):
    monkeypatch.setattr(threads, "_count", None)
    rng = np.random.default_rng(2)
    a = rng.integers(0, 9, (301, 1000)).astype(dtype)
    b = rng.permuted(a, axis=-1)
    answers_of = []
    for count in (1, 2, 3, 16):
        fe.set_num_threads(count)
        answers_of.append(answers(a, b, space, 2))
    for other in answers_of[1:]:
        same(answers_of[0], other)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_every_dtype_has_the_answer_of_float64(dtype):
    a, b = np.array([[3, 0, 0, 1], [2, 2, 0, 0]], dtype), np.array([0, 2, 0, 2], dtype)
    for space in (Chain(4), Ring(4), Tree([-1, 0, 0, 1], [0, 1, 2, 3])):
        value, grad = fe.emd_value_and_grad(a, b, space)
        expected_value, expected = fe.emd_value_and_grad(a.astype(float), b.astype(float), space)
        np.testing.assert_array_equal(value, expected_value)
        np.testing.assert_array_equal(grad, expected.astype(grad.dtype))
        assert grad.dtype == (np.dtype(dtype) if dtype in FLOATS else np.float64)


def test_signed_and_unsigned_integers_may_meet():
    assert fe.emd(np.array([0, 3], np.uint8), np.array([3, 0], np.int64), Chain(2)) == 3.0
