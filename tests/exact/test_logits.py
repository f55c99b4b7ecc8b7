"""emd_with_logits: the reference's value and gradient, for classes and soft targets, at every size of logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastemd as fe
from fastemd import reference
from fastemd.reference.values import softmax
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import (
    FLOATS,
    exponents,
    logit_calls,
    moved,
    near,
    potential_slack,
    sentinels,
    value_slack,
)


@pytest.mark.parametrize("soft", [False, True])
@given(data=st.data(), rho=exponents)
def test_value_and_gradient_are_the_references(soft, data, rho):
    space, logits, target = data.draw(logit_calls(soft))
    expected_value, expected = reference.emd_with_logits(logits, target, space, rho=rho)
    out = sentinels(expected.shape, logits.dtype)
    before = logits.tobytes(), target.tobytes()
    value, grad = fe.emd_with_logits(logits, target, space, rho=rho, out=out)
    assert grad is out
    assert value.dtype == logits.dtype
    assert (logits.tobytes(), target.tobytes()) == before
    near(value, expected_value, value_slack(space, 1.0, rho))
    p = softmax(logits.astype(np.float64))
    aim = target if soft else np.eye(space.n)[target]
    # Exponentials of two makers differ in their last bits, and so do the flows.
    # What is no normal float64 counts as 0, in the kernel from e**-708 on, and no potential is more than rho * length.
    flushed = np.exp(-708.0) * rho * float(space.lengths.sum())
    near(grad, expected, 2 * p * potential_slack(space, p, aim, rho, off=moved(space, 1.0)) + flushed)


@given(logit_calls(True), exponents, st.sampled_from([0.25, 3.0]))
def test_target_is_divided_by_its_mass_under_normalize(call, rho, factor):
    space, logits, target = call
    target = (factor * target).astype(logits.dtype)
    value, _ = fe.emd_with_logits(logits, target, space, rho=rho, mass="normalize")
    expected, _ = reference.emd_with_logits(logits, target, space, rho=rho, mass="normalize")
    near(value, expected, value_slack(space, 1.0, rho))


@given(logit_calls(False), exponents)
def test_class_is_the_histogram_with_all_mass_in_one_bin(call, rho):
    space, logits, target = call
    value, grad = fe.emd_with_logits(logits, target, space, rho=rho)
    for dtype in (np.int8, np.uint64, np.int32):
        again, grad_again = fe.emd_with_logits(logits, target.astype(dtype), space, rho=rho)
        np.testing.assert_array_equal(again, value)
        np.testing.assert_array_equal(grad_again, grad)
    one_hot, grad_one_hot = fe.emd_with_logits(logits, np.eye(space.n, dtype=logits.dtype)[target], space, rho=rho)
    np.testing.assert_array_equal(one_hot, value)
    np.testing.assert_array_equal(grad_one_hot, grad)


@given(logit_calls(False), exponents)
def test_gradient_sums_to_zero_over_the_classes(call, rho):
    space, logits, target = call
    _, grad = fe.emd_with_logits(logits.astype(np.float64), target, space, rho=rho)
    within = 2 * rho * moved(space, 1.0, float(space.lengths.sum()))
    np.testing.assert_array_less(np.abs(grad.sum(axis=-1)), within + np.finfo(np.float64).tiny)


@pytest.mark.parametrize("soft", [False, True])
@given(data=st.data())
def test_rows_bits_do_not_depend_on_the_rows_beside_it(soft, data):
    space, logits, target = data.draw(logit_calls(soft))
    value, grad = fe.emd_with_logits(logits, target, space, rho=2)
    batch = value.shape
    if batch:
        row = data.draw(st.sampled_from(list(np.ndindex(batch))))
        z = np.broadcast_to(logits, (*batch, space.n))[row]
        aim = np.broadcast_to(target, (*batch, space.n) if soft else batch)[row]
        alone, grad_alone = fe.emd_with_logits(z, aim, space, rho=2)
        np.testing.assert_array_equal(alone, value[row])
        np.testing.assert_array_equal(grad_alone, grad[row])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("space", [Chain(9), Ring(9), Tree(np.arange(-1, 8), np.ones(9))])
def test_large_logits_neither_overflow_nor_lose_the_answer(dtype, space):
    z = np.zeros((3, 9), dtype)
    z[:, 4] = np.finfo(dtype).max
    z[1, 0] = -np.finfo(dtype).max
    z[2] = np.finfo(dtype).max
    value, grad = fe.emd_with_logits(z, [8, 4, 0], space)
    np.testing.assert_array_equal(value[:2], [4.0, 0.0])
    np.testing.assert_array_equal(grad[:2], 0.0)
    near(value[2], reference.emd_with_logits(np.zeros(9), 0, space)[0], value_slack(space, 1.0, 1))


def test_class_of_probability_zero_has_no_gradient():
    _, grad = fe.emd_with_logits(np.array([0.0, -np.inf, 0.0, 1.0]), 1, Chain(4), rho=2)
    assert grad[1] == 0.0
    assert np.all(grad[[0, 2, 3]] != 0.0)


def test_gradient_is_that_of_finite_differences():
    space, rng = Ring(13), np.random.default_rng(4)
    z, target = rng.standard_normal((5, 13)), rng.integers(0, 13, 5)
    _, grad = fe.emd_with_logits(z, target, space, rho=2)
    step = np.finfo(np.float64).eps ** (1 / 3)
    for i in range(13):
        move = step * np.eye(13)[i]
        right, left = (fe.emd_with_logits(z + way, target, space, rho=2)[0] for way in (move, -move))
        # The first three derivatives of a softmax flow are at most 1, of one less its mean at most 2.
        truncation = 6 * step**2 * 13
        np.testing.assert_array_less(
            np.abs(grad[:, i] - (right - left) / (2 * step)), truncation + value_slack(space, 1.0, 2) / step
        )


# --- Targets that may be read in two ways -----------------------------------------------------------------------------


def test_integer_one_hot_targets_are_refused_and_both_mends_work():
    logits, one_hot = np.zeros((1, 3)), np.array([[0, 1, 0]])
    with pytest.raises(ValueError, match=r"one class each, or histograms of 3 bins") as raised:
        fe.emd_with_logits(logits, one_hot, Chain(3), rho=2)
    assert "try target.astype(numpy.float64)" in str(raised.value)
    assert "try logits[..., None, :]" in str(raised.value)
    as_histograms = fe.emd_with_logits(logits, one_hot.astype(np.float64), Chain(3), rho=2)[0]
    np.testing.assert_array_equal(as_histograms, fe.emd_with_logits(logits, [1], Chain(3), rho=2)[0])
    as_classes = fe.emd_with_logits(logits[..., None, :], one_hot, Chain(3), rho=2)[0]
    np.testing.assert_array_equal(as_classes[0], fe.emd_with_logits(np.zeros((3, 3)), [0, 1, 0], Chain(3), rho=2)[0])


def test_float_classes_that_fit_as_a_histogram_are_refused_and_both_mends_work():
    logits, target = np.zeros((3, 3)), np.array([0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match=r"a class for each row, or a histogram of 3 bins for all of them") as raised:
        fe.emd_with_logits(logits, target, Chain(3))
    assert "try target.astype(numpy.int64)" in str(raised.value)
    assert "try target[None]" in str(raised.value)
    fe.emd_with_logits(logits, target.astype(np.int64), Chain(3))
    as_histogram = fe.emd_with_logits(logits, target[None], Chain(3))[0]
    np.testing.assert_array_equal(as_histogram, fe.emd_with_logits(logits, [1, 1, 1], Chain(3))[0])
