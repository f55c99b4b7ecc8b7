"""Operations on lanes give in every lane the result of the scalar operation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numba import njit

from fastemd.cpu.simd.exp_log import exp
from fastemd.cpu.simd.lanes import WIDTH, all_lanes, any_lane, lanes, load, no_lane, select, set_lane, store
from fastemd.formulas import edge

SPECIAL = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 5e-324])
eights = arrays(np.float64, WIDTH, elements=st.one_of(st.sampled_from(SPECIAL.tolist()), st.floats()))
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for infinities and NaN


def of_two(function):
    """Compile a function of two registers, and call it with two arrays of eight."""
    inner = njit(function)

    @njit
    def outer(scratch):
        store(scratch, 2, inner(load(scratch, 0), load(scratch, 1)))

    def call(x, y):
        scratch = np.concatenate([x, y, np.full(WIDTH, -77.0)])
        outer(scratch)
        np.testing.assert_array_equal(scratch[: 2 * WIDTH], np.concatenate([x, y]))
        return scratch[2 * WIDTH :]

    return call


ARITHMETIC = {
    "add": (of_two(lambda x, y: x + y), np.add),
    "subtract": (of_two(lambda x, y: x - y), np.subtract),
    "multiply": (of_two(lambda x, y: x * y), np.multiply),
    "divide": (of_two(lambda x, y: x / y), np.divide),
    "absolute": (of_two(lambda x, y: abs(x)), lambda x, y: np.abs(x)),
    "negative": (of_two(lambda x, y: -x), lambda x, y: -x),
    "a number on the right": (of_two(lambda x, y: x - 2.5), lambda x, y: x - 2.5),
    "a number on the left": (of_two(lambda x, y: 3 / y), lambda x, y: 3 / y),
    "a number in every lane": (of_two(lambda x, y: lanes(7)), lambda x, y: np.full(WIDTH, 7.0)),
    "sign": (of_two(lambda x, y: edge.sign(x)), lambda x, y: np.sign(x)),
    "cost, rho 1": (of_two(lambda x, y: edge.cost(x, y, 1)), lambda x, y: y * np.abs(x)),
    "cost, rho 2": (of_two(lambda x, y: edge.cost(x, y, 2)), lambda x, y: y * x * x),
    "slope, rho 1": (of_two(lambda x, y: edge.slope(x, y, 1)), lambda x, y: y * np.sign(x)),
    "slope, rho 2": (of_two(lambda x, y: edge.slope(x, y, 2)), lambda x, y: 2 * y * x),
    "below": (of_two(lambda x, y: select(x < y, x, y)), lambda x, y: np.where(x < y, x, y)),
    "at most": (of_two(lambda x, y: select(x <= y, 1.0, 0)), lambda x, y: np.where(x <= y, 1.0, 0.0)),
    "equal": (of_two(lambda x, y: select(x == y, 1.0, 0)), lambda x, y: np.where(x == y, 1.0, 0.0)),
    "above": (of_two(lambda x, y: select(x > y, x, 0.5)), lambda x, y: np.where(x > y, x, 0.5)),
    "at least": (of_two(lambda x, y: select(y <= 0.0, x, y)), lambda x, y: np.where(y <= 0.0, x, y)),
    "both": (
        of_two(lambda x, y: select((x > 0.0) & (y > 0.0), 1, 0)),
        lambda x, y: np.where((x > 0) & (y > 0), 1.0, 0.0),
    ),
    "either": (
        of_two(lambda x, y: select((x > 0.0) | (y > 0.0), 1, 0)),
        lambda x, y: np.where((x > 0) | (y > 0), 1.0, 0.0),
    ),
    "nowhere": (of_two(lambda x, y: select(no_lane(), x, y)), lambda x, y: y),
    "set_lane": (of_two(lambda x, y: set_lane(x, 5, 9.0)), lambda x, y: np.where(np.arange(WIDTH) == 5, 9.0, x)),
}


@pytest.mark.parametrize("name", ARITHMETIC)
@given(x=eights, y=eights)
def test_every_lane_has_the_result_of_the_scalar_operation(name, x, y):
    in_lanes, one_by_one = ARITHMETIC[name]
    np.testing.assert_array_equal(in_lanes(x, y), one_by_one(x, y))


@njit
def raise_to(scratch, exponent):
    """Store slot 0 to the power of `exponent` into slot 1."""
    store(scratch, 1, load(scratch, 0) ** exponent)


def power(x, exponent):
    scratch = np.concatenate([x, np.full(WIDTH, -77.0)])
    raise_to(scratch, float(exponent))
    return scratch[WIDTH:]


positive = st.one_of(st.floats(0.0, 4.0), st.floats(0.0), st.sampled_from([0.0, 1.0, 5e-324, np.inf]))


@given(arrays(np.float64, WIDTH, elements=positive), st.floats(2.0**-10, 8.0))
def test_power_is_within_a_few_ulps(x, exponent):
    expected = np.longdouble(x) ** np.longdouble(exponent)
    overflow = expected > np.finfo(np.float64).max
    exact = np.where(overflow, np.inf, expected).astype(np.float64)
    off = (2.0 + 2.0 * exponent) * np.spacing(np.where(np.isinf(exact), 1.0, exact))
    got = power(x, exponent)
    close = np.where(np.isinf(exact) | np.isinf(got), expected > 0.9999 * np.finfo(np.float64).max, False)
    assert np.all(close | (np.abs(got - exact) <= off))


def test_power_of_nan_is_nan_and_of_infinity_infinite():
    np.testing.assert_array_equal(power(np.array([np.nan, np.inf] * 4), 1.5), [np.nan, np.inf] * 4)


@njit
def any_and_all(scratch):
    """Whether any, and whether all, of eight are above zero."""
    mask = load(scratch, 0) > 0.0
    return any_lane(mask), all_lanes(mask)


@given(eights)
def test_any_and_all_depend_on_every_lane(x):
    assert any_and_all(x) == (bool(np.any(x > 0)), bool(np.all(x > 0)))


@pytest.mark.parametrize("k", range(WIDTH))
def test_any_and_all_see_a_single_lane(k):
    one = np.zeros(WIDTH)
    one[k] = 1.0
    assert any_and_all(one) == (True, False)
    assert any_and_all(1.0 - one) == (True, False)
    assert any_and_all(np.ones(WIDTH)) == (True, True)
    assert any_and_all(np.zeros(WIDTH)) == (False, False)


exponential = of_two(lambda x, y: exp(x))


def exponentials(x):
    return np.concatenate([exponential(eight, eight) for eight in x.reshape(-1, WIDTH)])


def test_exp_is_within_3_ulps_where_it_is_a_normal_number():
    x = -np.concatenate([np.linspace(0.0, 708.0, 80_000), np.geomspace(1e-300, 1.0, 8_000)])
    expected = np.exp(x.astype(np.longdouble))
    got = exponentials(x)
    assert np.all(np.abs(got - expected) <= 3 * np.spacing(expected.astype(np.float64)))


def test_exp_is_zero_where_it_is_hardly_a_normal_number():
    below = -np.concatenate([[np.nextafter(708.0, 709.0)], np.linspace(709.0, 745.0, 13), [746.0, np.finfo(float).max]])
    np.testing.assert_array_equal(exponentials(below), 0.0)
    np.testing.assert_array_equal(exponentials(np.full(WIDTH, -np.inf)), 0.0)


def test_exp_of_zero_is_one_and_of_nan_is_nan():
    np.testing.assert_array_equal(exponentials(np.zeros(WIDTH)), 1.0)
    np.testing.assert_array_equal(exponentials(np.array([np.nan, -1.0] * 4))[::2], np.nan)


def test_product_and_sum_are_rounded_one_after_the_other():
    x, y = np.full(WIDTH, 1.0 + 2.0**-30), np.full(WIDTH, 1.0 - 2.0**-30)
    np.testing.assert_array_equal(of_two(lambda x, y: x * y - 1.0)(x, y), 0.0)  # fused, it would be -(2.0**-60)
