"""The parts of Sinkhorn's kernels: logarithms, extended range, products in tiles, and over-relaxation."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

import fastemd as fe
from fastemd.cpu.entropic import solver
from fastemd.cpu.entropic.matmul import TALL, Tiles
from fastemd.cpu.simd import extended_range
from fastemd.cpu.simd.exp_log import exp, log
from fastemd.cpu.simd.lanes import WIDTH, load, store
from tests.support.sinkhorn_problems import histograms, rounding

EPSILON = np.finfo(np.float64).eps


@njit
def stabilized_log(x, out):
    for i in range(x.size // WIDTH):
        store(out, i, log(load(x, i)))


@njit
def exponentials(x, out):
    for i in range(x.size // WIDTH):
        store(out, i, exp(load(x, i)))


def applied(function, numbers):
    padded = np.ones(-(-len(numbers) // WIDTH) * WIDTH)
    padded[: len(numbers)] = numbers
    out = np.full_like(padded, -77)
    function(padded, out)
    return out[: len(numbers)]


@given(st.lists(st.floats(0.0, np.finfo(np.float64).max, allow_subnormal=True), min_size=1, max_size=20))
def test_logarithm_is_within_3_ulps(numbers):
    expected = [math.log(x) if x else -math.inf for x in numbers]
    np.testing.assert_allclose(applied(stabilized_log, numbers), expected, rtol=4 * EPSILON, atol=0)


@given(st.lists(st.floats(0.99, 1.01), min_size=1, max_size=20))
def test_logarithm_near_1_keeps_its_digits(numbers):
    expected = [math.log(x) for x in numbers]
    np.testing.assert_allclose(applied(stabilized_log, numbers), expected, rtol=4 * EPSILON, atol=0)


def test_logarithm_of_zero_infinity_and_nan():
    np.testing.assert_array_equal(applied(stabilized_log, [0.0, np.inf, np.nan]), [-np.inf, np.inf, np.nan])


@given(st.lists(st.floats(-700.0, 709.0), min_size=1, max_size=20))
def test_exponential_of_either_sign_is_within_3_ulps(numbers):
    np.testing.assert_allclose(applied(exponentials, numbers), [math.exp(x) for x in numbers], rtol=4 * EPSILON, atol=0)


# --- Extended range ---------------------------------------------------------------------------------------------------


@njit
def extended_sum(x, weight, exponent, out):
    """Store ln of the sum of exp(x_i) times the weights from i on."""
    total = extended_range.zero(exponent)
    for i in range(x.size // WIDTH):
        total = extended_range.add(
            extended_range.times_weight(total, weight, exponent, i),
            extended_range.exponential(load(x, i), load(x, i), exponent),
        )
    store(out, 0, extended_range.logarithm(total, load(x, 0)))


def exact_sum(x, exponents):
    """Return the same sum, by fractions of numbers that are scaled by the running maximum."""
    total, top = Fraction(0), -math.inf
    for value, exponent in zip(x, exponents, strict=True):
        top -= exponent
        new = max(top, value)
        total = total * Fraction(math.exp(max(top - new, -700.0))) + Fraction(math.exp(max(value - new, -700.0)))
        top = new
    return top + math.log(total)


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(0.0, 1e5)), min_size=1, max_size=30),
)
def test_extended_range_adds_and_multiplies_beyond_the_range_of_float64(pairs):
    x, exponents = (np.array(column) for column in zip(*pairs, strict=True))
    weight, exponent = extended_range.weights(exponents, True)
    out = np.empty(WIDTH)
    extended_sum(np.repeat(x, WIDTH), weight, exponent, out)
    size = np.abs(x).max() + exponents.sum()
    np.testing.assert_allclose(out, exact_sum(x, exponents), rtol=0, atol=rounding(len(x), 1.0 + size))


@given(st.floats(0.0, 1e6))
def test_weights_of_extended_range_are_normal_and_exact(x):
    weight, exponent = extended_range.weights(np.array([x]), True)
    assert 1.0 - 4 * EPSILON <= weight[0] <= 2.0 + 4 * EPSILON
    assert exponent[0] == np.rint(exponent[0])
    logarithm = math.log(weight[0]) + exponent[0] * math.log(2.0)
    assert abs(logarithm + x) <= rounding(1, 1.0 + x)


# --- Tiles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("rows", "n", "k"), [(1, 1, 1), (5, 3, 40), (9, 16, 16), (70, 300, 33), (3, TALL, 40), (3, TALL + 1, 40)]
)
def test_product_in_tiles_is_the_product(dtype, rows, n, k):
    rng = np.random.default_rng(0)
    x, matrix = rng.random((rows, n)).astype(dtype), rng.random((n, k)).astype(dtype)
    product = Tiles(matrix, lambda part: part, matrix.dtype).product(x)
    assert product.dtype == dtype and product.shape == (rows, k)
    within = 8 * n * np.finfo(dtype).eps * n
    np.testing.assert_allclose(product, x.astype(float) @ matrix, rtol=0, atol=within)


# --- Over-relaxation --------------------------------------------------------------------------------------------------


def adapted_omega(factor, steps=40):
    """Return the over-relaxation after errors that fall by a constant factor."""
    rule, omega = solver.OverRelaxation(1), np.ones(1)
    error = np.ones(1)
    for count in range(steps):
        before = omega.copy()
        rule.adapt(count, error, omega)
        if omega != before:
            return float(omega[0])
        error = error * factor
    return 1.0


@pytest.mark.parametrize("factor", [0.3, 0.9, 0.99])
def test_steady_convergence_is_over_relaxed_by_the_best_amount(factor):
    assert adapted_omega(factor) == pytest.approx(2.0 / (1.0 + math.sqrt(1.0 - factor)), rel=1e-9)


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_errors_that_do_not_fall_are_not_over_relaxed(factor):
    assert adapted_omega(factor) == 1.0


def test_harm_takes_steps_back_to_plain_ones():
    rule, omega = solver.OverRelaxation(1), np.ones(1)
    error = np.ones(1)
    for count in range(40):
        rule.adapt(count, error, omega)
        error = error * 0.9
        if omega[0] > 1.0:
            break
    assert omega[0] > 1.0
    rule.adapt(count + 1, error * 2 * solver.WORSE, omega)
    assert omega[0] == 1.0


def test_rows_that_have_converged_are_left_alone():
    rule, omega = solver.OverRelaxation(2), np.array([0.0, 1.0])
    for count in range(40):
        rule.adapt(count, np.full(2, 0.9**count), omega)
    assert omega[0] == 0.0 and omega[1] > 1.0


def test_rows_that_converge_late_are_unmoved_by_those_that_leave_early():
    rng = np.random.default_rng(1)
    space = fe.Chain(20)
    a, b = histograms(rng, 60, 20), histograms(rng, 60, 20)
    a[::2] = b[::2]
    result = fe.sinkhorn(a, b, space, reg=0.5, tol=1e-6)
    assert len(set(result.n_iter)) > 5
    for row in (0, 17, 59):
        assert fe.sinkhorn(a[row], b[row], space, reg=0.5, tol=1e-6).value == result.value[row]
