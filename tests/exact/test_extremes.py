"""Many bins, deep trees, huge and tiny masses: answers stay right to the last digits, and nothing recurses."""

from fractions import Fraction

import numpy as np
import pytest

import fastemd as fe
from fastemd import reference
from fastemd.spaces import Chain, Ring, Tree
from tests.support.kernel_problems import moved, near, value_slack
from tests.support.tolerance import tolerance

MILLION = 1_000_000


def relative(value, exact):
    return abs(float(value) - exact) / exact


@pytest.fixture(scope="module")
def million():
    """Two histograms of a million bins, equal in mass to the last bit, and their exact distance on a chain."""
    rng = np.random.default_rng(5)
    a = rng.integers(0, 2**20, MILLION)
    b = rng.permutation(a)
    exact = int(np.abs(np.cumsum(a - b)).sum(dtype=object))
    return a, b, exact


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_of_a_million_bins_is_right_to_the_dtypes_last_digits(dtype, million):
    a, b, exact = million
    assert relative(fe.emd(a.astype(dtype), b.astype(dtype), Chain(MILLION)), exact) <= tolerance(dtype, 1, 1, 1, c=2)


def test_value_of_a_million_fractions_in_float32_is_right_to_the_last_digits():
    rng = np.random.default_rng(6)
    a = rng.random(MILLION, np.float32)
    a /= a.sum(dtype=np.float64).astype(np.float32)
    b = rng.permutation(a)
    # Sums of float32 of this size are exact in whole multiples of 2**-70.
    units = [(x.astype(np.float64) * 2.0**70).tolist() for x in (a, b)]
    prefix, total = 0, 0
    for left, right in zip(*units, strict=True):
        prefix += int(left) - int(right)
        total += abs(prefix)
    assert relative(fe.emd(a, b, Chain(MILLION)), float(Fraction(total, 2**70))) <= tolerance("float32", 1, 1, 1, c=1)


def test_gradient_of_a_million_bins_proves_the_value():
    rng = np.random.default_rng(7)
    a = rng.integers(0, 9, MILLION).astype(np.float64)
    b = rng.permutation(a)
    value, f = fe.emd_value_and_grad(a, b, Chain(MILLION))
    assert relative(np.dot(f, a - b), value) <= tolerance("float64", 1000, 1, 1)


@pytest.mark.parametrize("rho", [1, 2, 1.5])
def test_path_of_many_nodes_is_the_chain(rho):
    n = 200_000
    path = Tree(np.append(np.arange(1, n), -1), np.ones(n))
    rng = np.random.default_rng(8)
    a = rng.integers(0, 9, (2, n)).astype(np.float32)
    b = rng.permuted(a, axis=-1)
    value, grad = fe.emd_value_and_grad(a, b, path, rho=rho)
    expected_value, expected = fe.emd_value_and_grad(a, b, Chain(n), rho=rho)
    near(value, expected_value, value_slack(path, float(a.sum(axis=-1).max()), rho))
    top = np.abs(expected).max()
    near(grad, expected, tolerance("float32", 1, top, 1, c=1))


def test_star_of_many_nodes_adds_up_its_spokes():
    n = 100_000
    star = Tree(np.append([-1], np.zeros(n - 1, int)), np.ones(n))
    rng = np.random.default_rng(9)
    a = rng.integers(0, 9, n)
    b = rng.permutation(a)
    assert fe.emd(a, b, star) == np.abs(a - b)[1:].sum()


def test_ring_of_many_bins_finds_its_median():
    n = 100_001
    rng = np.random.default_rng(10)
    a = rng.integers(0, 9, n)
    b = rng.permutation(a)
    prefix = np.cumsum(a - b)
    assert fe.emd(a, b, Ring(n)) == np.abs(prefix - np.median(prefix)).sum()


@pytest.mark.parametrize("space", [Chain(9), Ring(9), Tree(np.maximum((np.arange(9) - 1) // 2, -1), np.ones(9))])
@pytest.mark.parametrize("exponent", [-1000, -500, 0, 500, 1000])
def test_huge_and_tiny_masses_scale(space, exponent):
    a, b = np.array([[3.0, 0, 1, 0, 2, 5, 0, 0, 1]]), np.array([[0.0, 2, 2, 2, 0, 0, 0, 5, 1]])
    scale = 2.0**exponent
    value, grad = fe.emd_value_and_grad(scale * a, scale * b, space)
    expected_value, expected = fe.emd_value_and_grad(a, b, space)
    np.testing.assert_array_equal(value, scale * expected_value)
    np.testing.assert_array_equal(grad, expected)
    if abs(exponent) <= 500:
        value, grad = fe.emd_value_and_grad(scale * a, scale * b, space, rho=2)
        expected_value, expected = fe.emd_value_and_grad(a, b, space, rho=2)
        np.testing.assert_array_equal(value, scale**2 * expected_value)
        np.testing.assert_array_equal(grad, scale * expected)


def test_subnormal_masses_are_masses():
    least = np.finfo(np.float32).smallest_subnormal
    a, b = np.array([least, 0, 0]), np.array([0, 0, least])
    assert fe.emd(a, b, Chain(3)) == 2 * least
    np.testing.assert_array_equal(fe.potential(a, b, Chain(3)), [1, 0, -1])


def test_large_integers_do_not_wrap():
    a, b = np.array([200, 0], np.uint8), np.array([0, 200], np.uint8)
    assert fe.emd(a, b, Chain(2), rho=2) == 40_000.0
    a, b = np.array([2**62, 0]), np.array([0, 2**62])
    assert fe.emd(a, b, Chain(2)) == 2.0**62


def test_value_too_large_for_the_dtype_is_infinite():
    a, b = np.array([60000, 0, 0], np.float16), np.array([0, 0, 60000], np.float16)
    assert fe.emd(a, b, Chain(3)) == np.inf
    a, b = np.array([1e30, 0], np.float32), np.array([0, 1e30], np.float32)
    assert fe.emd(a, b, Chain(2), rho=2) == np.inf


@pytest.mark.parametrize("rho", [1 + 2.0**-40, 1.01, 1.1, 7.5, 40.0])
@pytest.mark.parametrize("space", [Chain(11), Ring(11), Tree(np.maximum((np.arange(11) - 1) // 2, -1), np.ones(11))])
def test_any_exponent_from_one_on_is_answered(rho, space):
    rng = np.random.default_rng(11)
    a, b = rng.dirichlet(np.ones(11), (2, 5))
    near(fe.emd(a, b, space, rho=rho), reference.emd(a, b, space, rho=rho), value_slack(space, 1.0, rho))
    f = fe.potential(a, b, space, rho=rho)
    # Where flows are well off zero, so is what rounding does to their slopes.
    expected = reference.potential(a, b, space, rho=rho)
    near(f, expected, rho**2 * moved(space, 1.0, float(space.lengths.sum())))
